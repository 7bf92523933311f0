# From the pool to training distributions.
#
# in:   pool/manifest.json  tasks/{task}/target.parquet  scores/**/{task}.parquet
# out:  distributions/{distribution}.parquet
# steps: score every candidate | take the top of score + noise


rule select:
    input:
        pool=paths.pool,
        tokenizer=paths.tokenizer,
        target=lambda w: seen(w)["target"],
        scores=lambda w: seen(w)["scores"],
    output:
        paths.distribution(),
    log:
        paths.log("select/{distribution}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.select(w.distribution),
        code=lambda w: study.code("select", w.distribution),
        plugins=lambda w: plugin_flags("select", w.distribution),
        seen=lambda w: " ".join(
            f"--{name} {files[0]}" for name, files in seen(w).items() if files
        ),
    shell:
        "python -m proxyscale select --log {log} {params.plugins} --pool {input.pool:q}"
        " --tokenizer {input.tokenizer:q} {params.seen} --spec {params.spec:q} --out {output:q}"
