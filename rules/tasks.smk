# Test sets: encoded, searched for in the documents of the pool, chosen.
#
# in:   records or corpora  tokenizer  pool/{source}@{shard}/words.npy
# out:  items/{task}  overlap/{source}@{shard}/{task}  tasks/{task}
# steps: encode the items | search for them in every pack | choose what stands nowhere else


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


rule overlap:
    """Search a pack's documents for the items of a test set."""

    # Packing has parted the text into words once for all test sets. Each is looked for by itself,
    # since one more must make nothing stale of the others.
    input:
        pack=manifest(paths.pack()),
        words=ancient(inside(paths.pack(), "words.npy")),
        encoded=manifest(paths.items()),
        tables=ancient([inside(paths.items(), name) for name in ITEM_WORDS]),
    output:
        paths.overlap(),
    log:
        paths.log("overlap/{source}/{shard}/{task}"),
    priority: 900_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.overlap(w.source, w.task)),
    params:
        spec=lambda w: study.spec("overlap", w.task),
        code=study.code("overlap"),
    shell:
        "python -m proxyscale overlap --log {log:q} --pack {input.pack:q} --items {input.encoded:q}"
        " --spec {params.spec:q} --out {output:q}"


rule task:
    """Build a test set's target and holdout examples."""
    input:
        encoded=manifest(paths.items()),
        tables=ancient([inside(paths.items(), name) for name in ITEM_TABLES]),
        pool=paths.pool,
        found=[paths.overlap(*pack) for pack in study.packs],
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
