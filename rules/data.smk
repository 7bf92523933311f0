# From raw text to the pool and the tasks.
#
# in:   the sources, tasks and tokenizer of the config
# out:  corpora/{source}  tokenizer/  pool/{source}  pool/manifest.json  tasks/{task}
# steps: read and split documents | train the tokenizer | pack | number the examples | build tasks


rule corpus:
    input:
        lambda w: study.source_files(w.source),
    output:
        manifest(paths.corpus()),
        inside(paths.corpus(), "documents.parquet"),
    log:
        paths.log("corpus/{source}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.corpus(w.source),
        code=lambda w: study.code("corpus", w.source),
        plugins=lambda w: plugin_flags("corpus", w.source),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale corpus --log {log} {params.plugins} --source {wildcards.source}"
        " --spec {params.spec:q} --out {params.out:q}"


rule tokenizer:
    input:
        [manifest(paths.corpus(source)) for source in study.tokenizer_sources()],
        study.tokenizer_files(),
    output:
        paths.tokenizer,
    log:
        paths.log("tokenizer"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=study.tokenizer(),
        code=study.code("tokenizer"),
        corpora=flags(
            "corpus", [(s, paths.corpus(s)) for s in study.tokenizer_sources()]
        ),
    shell:
        "python -m proxyscale tokenizer --log {log} {params.corpora}"
        " --spec {params.spec:q} --out {output:q}"


rule pack:
    input:
        corpus=manifest(paths.corpus()),
        documents=ancient(inside(paths.corpus(), "documents.parquet")),
        tokenizer=paths.tokenizer,
    output:
        manifest(paths.pack()),
        inside(paths.pack(), "inputs.npy"),
        inside(paths.pack(), "index.parquet"),
    log:
        paths.log("pack/{source}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.pack(w.source),
        code=study.code("pack"),
        corpus=subpath(input.corpus, parent=True),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale pack --log {log} --corpus {params.corpus:q}"
        " --tokenizer {input.tokenizer:q} --spec {params.spec:q} --out {params.out:q}"


rule pool:
    input:
        [manifest(paths.pack(source)) for source in study.sources],
    output:
        paths.pool,
    log:
        paths.log("pool"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        code=study.code("pool"),
        packs=flags("pack", [(s, paths.pack(s)) for s in study.sources]),
    shell:
        "python -m proxyscale pool --log {log} {params.packs} --out {output:q}"


rule task:
    input:
        corpora=lambda w: [
            manifest(paths.corpus(s)) for s in study.task_sources(w.task)
        ],
        records=lambda w: study.record_files(w.task),
        tokenizer=paths.tokenizer,
        pool=paths.pool,
    output:
        manifest(paths.task()),
        inside(paths.task(), "holdout.parquet"),
        inside(paths.task(), "target.parquet"),
    log:
        paths.log("task/{task}"),
    priority: 900_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.task(w.task),
        code=lambda w: study.code("task", w.task),
        plugins=lambda w: plugin_flags("task", w.task),
        corpora=lambda w: flags(
            "corpus", [(s, paths.corpus(s)) for s in study.task_sources(w.task)]
        ),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale task --log {log} {params.plugins} {params.corpora} --tokenizer {input.tokenizer:q}"
        " --pool {input.pool:q} --spec {params.spec:q} --out {params.out:q}"
