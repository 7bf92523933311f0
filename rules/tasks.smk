# Test sets: encoded, searched for in the documents of the pool, chosen.
#
# in:   records or corpora  tokenizer  pool/{source}@{shard}/words.npy
# out:  items/{task}  overlap/{source}@{shard}/{task}@{words}  tasks/{task}
# steps: encode the items | search every pack for all of them | choose what stands nowhere else


rule items:
    """Encode a test set's items, more than are asked for."""
    input:
        corpora=lambda w: [
            manifest(paths.corpus(s)) for s in study.task_sources(w.task)
        ],
        documents=lambda w: documents(study.task_sources(w.task)),
        tokenizer=paths.tokenizer,
    output:
        manifest=manifest(paths.items()),
        tables=[inside(paths.items(), name) for name in ITEM_TABLES],
    log:
        paths.log("items/{task}"),
    priority: 900_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.items(w.task)),
    params:
        spec=lambda w: study.spec("items", w.task),
        files=lambda w: study.record_stamp(w.task),
        code=lambda w: study.code("items", w.task),
        plugins=lambda w: plugin_flags("items", w.task),
        corpora=lambda w, input: words(*input.corpora),
    shell:
        "python -m proxyscale items --log {log:q} {params.plugins} --corpus {params.corpora}"
        " --tokenizer {input.tokenizer:q} --spec {params.spec:q} --out {output.manifest:q}"


def overlaps(pack, *tasks):
    """What of test sets stands in a pack."""
    windows = {task: study.config.tasks[task].overlap_window for task in tasks}
    return [paths.overlap(*pack, *sought) for sought in windows.items()]


rule overlap:
    """Search a pack's documents for the items of all test sets."""

    # A job looks for those alone that are missing or no longer vouched for.
    input:
        pack=manifest(paths.pack()),
        words=ancient(inside(paths.pack(), "words.npy")),
        encoded=[manifest(paths.items(task)) for task in sorted(study.config.tasks)],
        tables=ancient(
            [
                inside(paths.items(task), name)
                for task in study.config.tasks
                for name in ITEM_WORDS
            ]
        ),
    output:
        [
            update(path)
            for path in overlaps(("{source}", "{shard}"), *study.config.tasks)
        ],
    log:
        paths.log("overlap/{source}/{shard}"),
    priority: 900_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.overlap(w.source)),
    params:
        code=study.code("overlap"),
        sought=lambda w, input: words(*input.encoded),
        out=lambda w, output: words(*output),
    shell:
        "python -m proxyscale overlap --log {log:q} --pack {input.pack:q} --items {params.sought}"
        " --code {params.code} --out {params.out}"


rule task:
    """Build a test set's target and holdout examples."""
    input:
        encoded=manifest(paths.items()),
        tables=ancient([inside(paths.items(), name) for name in ITEM_TABLES]),
        pool=paths.pool,
        # a search for one test set says nothing new of the others
        found=lambda w: ancient(
            [f for pack in study.packs for f in overlaps(pack, w.task)]
        ),
    output:
        manifest=manifest(paths.task()),
        holdout=inside(paths.task(), "holdout.parquet"),
        target=inside(paths.task(), "target.parquet"),
    log:
        paths.log("task/{task}"),
    priority: 900_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.task(w.task)),
    params:
        spec=lambda w: study.spec("task", w.task),
        code=study.code("task"),
        found=lambda w, input: words(*input.found),
    shell:
        "python -m proxyscale task --log {log:q} --items {input.encoded:q} --found {params.found}"
        " --spec {params.spec:q} --out {output.manifest:q}"
