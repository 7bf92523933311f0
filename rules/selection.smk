# From the pool to training distributions.
#
# in:   pool/manifest.json  tasks/{task}/target.parquet  scores/**/*.parquet
# out:  distributions/{distribution}.parquet
# steps: score every candidate | take the top of score + noise


rule select:
    """Choose a training distribution's examples."""
    input:
        pool=paths.pool,
        rows=pool_rows(),
        tokenizer=paths.tokenizer,
        target=lambda w: seen(w)["target"],
        scores=lambda w: seen(w)["scores"][:1],
        facts=lambda w: seen(w)["scores"][1:],
        losses=lambda w: seen(w)["losses"],
    output:
        paths.distribution(),
    log:
        paths.log("select/{distribution}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    threads: lambda w: needs.select(w.distribution).cores
    resources:
        **asks(lambda w: needs.select(w.distribution)),
    params:
        spec=lambda w: study.spec("select", w.distribution),
        code=lambda w: study.code("select", w.distribution),
        plugins=lambda w: plugin_flags("select", w.distribution),
    shell:
        "python -m proxyscale select --log {log:q} {params.plugins} --pool {input.pool:q}"
        " --tokenizer {input.tokenizer:q} --target {input.target:q} --scores {input.scores:q}"
        " --losses {input.losses:q} --processes {threads} --spec {params.spec:q} --out {output:q}"
