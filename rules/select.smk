# From the pool to training distributions.
#
# in:   pool/manifest.json
# out:  distributions/{distribution}.parquet
# steps: score every candidate | take the top of score + noise


rule select:
    input:
        pool=paths.pool,
        tokenizer=paths.tokenizer,
    output:
        paths.distribution(),
    log:
        paths.log("select/{distribution}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.select(w.distribution),
        code=study.code("select"),
        plugins=plugins,
    shell:
        "python -m proxyscale select --log {log} {params.plugins} --pool {input.pool:q}"
        " --tokenizer {input.tokenizer:q} --spec {params.spec:q} --out {output:q}"
