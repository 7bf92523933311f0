# From raw text to the pool.
#
# in:   the sources and the tokenizer of the config
# out:  corpora/{source}  tokenizer/  pool/{source}@{shard}  pool/manifest.json
# steps: read and split documents | train the tokenizer | pack | number the examples


rule corpus:
    """Read a source's documents and split them."""
    output:
        manifest=manifest(paths.corpus()),
        documents=inside(paths.corpus(), "documents.parquet"),
    log:
        paths.log("corpus/{source}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    threads: lambda w: needs.corpus(w.source).cores
    resources:
        **asks(lambda w: needs.corpus(w.source)),
    params:
        spec=lambda w: study.spec("corpus", w.source),
        files=lambda w: study.source_stamp(w.source),
        code=lambda w: study.code("corpus", w.source),
        plugins=lambda w: plugin_flags("corpus", w.source),
    shell:
        "python -m proxyscale corpus --log {log:q} {params.plugins} --source {wildcards.source}"
        " --spec {params.spec:q} --processes {threads} --out {output.manifest:q}"


rule tokenizer:
    """Train or fetch the tokenizer."""
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
    """Tokenize a source and cut it into examples of one length."""
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
        wanted=lambda w: study.wanted(w.source),
    params:
        spec=lambda w: study.spec("pack", w.source, int(w.shard)),
        code=study.code("pack"),
    shell:
        "python -m proxyscale pack --log {log:q} --corpus {input.corpus:q}"
        " --tokenizer {input.tokenizer:q} --wanted {resources.wanted} --spec {params.spec:q}"
        " --out {output.manifest:q}"


rule pool:
    """Number the examples of all sources, which are to be as many as are asked for."""
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
        **asks(lambda w: needs.pool()),
    params:
        code=study.code("pool"),
        packs=lambda w, input: words(*input),
        # What distributions ask of sources. Snakemake takes what follows from `input` for no
        # parameter: the pool is what it is whatever is asked of it.
        demands=lambda w, input: in_a_file([study.demands]),
    shell:
        "python -m proxyscale pool --log {log:q} --pack {params.packs}"
        " --demands {params.demands:q} --out {output:q}"
