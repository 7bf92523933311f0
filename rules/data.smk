# From raw text to the pool and the tasks.
#
# in:   the sources, tasks and tokenizer of the config
# out:  corpora/{source}  tokenizer/  pool/{source}  pool/manifest.json  items/{task}
#       overlap/{source}@{shard}/{task}  tasks/{task}
# steps: read and split documents | train the tokenizer | pack | number the examples
#        | encode tasks' items | search the pool for them | choose those that do not stand there


rule corpus:
    output:
        manifest=manifest(paths.corpus()),
        documents=inside(paths.corpus(), "documents.parquet"),
    log:
        paths.log("corpus/{source}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.corpus(w.source)),
    params:
        spec=lambda w: study.spec("corpus", w.source),
        files=lambda w: study.source_stamp(w.source),
        code=lambda w: study.code("corpus", w.source),
        plugins=lambda w: plugin_flags("corpus", w.source),
    shell:
        "python -m proxyscale corpus --log {log:q} {params.plugins} --source {wildcards.source}"
        " --spec {params.spec:q} --out {output.manifest:q}"


rule tokenizer:
    input:
        documents(study.tokenizer_sources()),
        corpora=[manifest(paths.corpus(s)) for s in study.tokenizer_sources()],
    output:
        paths.tokenizer,
    log:
        paths.log("tokenizer"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.tokenizer()),
    params:
        spec=study.spec("tokenizer"),
        file=study.tokenizer_stamp(),
        corpora=lambda w, input: words(*input.corpora),
        code=study.code("tokenizer"),
    shell:
        "python -m proxyscale tokenizer --log {log:q} --corpus {params.corpora}"
        " --spec {params.spec:q} --out {output:q}"


rule pack:
    input:
        corpus=manifest(paths.corpus()),
        documents=ancient(inside(paths.corpus(), "documents.parquet")),
        tokenizer=paths.tokenizer,
    output:
        manifest=manifest(paths.pack()),
        inputs=inside(paths.pack(), "inputs.npy"),
        index=inside(paths.pack(), "index.parquet"),
        words=inside(paths.pack(), "words.npy"),
    log:
        paths.log("pack/{source}/{shard}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.pack(w.source)),
    params:
        spec=lambda w: study.spec("pack", w.source, int(w.shard)),
        code=study.code("pack"),
    shell:
        "python -m proxyscale pack --log {log:q} --corpus {input.corpus:q}"
        " --tokenizer {input.tokenizer:q} --spec {params.spec:q} --out {output.manifest:q}"


rule pool:
    input:
        [manifest(paths.pack(*pack)) for pack in study.packs],
    output:
        paths.pool,
    log:
        paths.log("pool"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.pooled()),
    params:
        code=study.code("pool"),
        packs=lambda w, input: words(*input),
    shell:
        "python -m proxyscale pool --log {log:q} --pack {params.packs} --out {output:q}"


rule items:
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
    input:
        pack=manifest(paths.pack()),
        words=ancient(inside(paths.pack(), "words.npy")),
        encoded=manifest(paths.items()),
        tables=ancient([inside(paths.items(), name) for name in ITEM_TABLES[1::2]]),
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
