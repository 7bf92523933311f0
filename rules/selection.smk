# From the pool to training distributions.
#
# in:   pool/manifest.json  tasks/{task}/target.parquet  scores/**/{task}.parquet
# out:  distributions/{distribution}.parquet
# steps: score every candidate | take the top of score + noise


def seen(wildcards):
    """What a distribution's method looks at of its task: target examples, scores of candidates."""
    task = study.config.distributions[wildcards.distribution].task
    scoring = study.scoring(wildcards.distribution)
    scores = paths.scores(*scoring) if scoring else None
    return {
        "target": [inside(paths.task(task), "target.parquet")] if task else [],
        "scores": [scores, scores.replace(".parquet", ".json")] if scoring else [],
    }


rule select:
    input:
        pool=paths.pool,
        rows=pool_rows(),
        tokenizer=paths.tokenizer,
        target=lambda w: seen(w)["target"],
        scores=lambda w: seen(w)["scores"][:1],
        facts=lambda w: seen(w)["scores"][1:],
    output:
        paths.distribution(),
    log:
        paths.log("select/{distribution}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.pooled()),
    params:
        spec=lambda w: study.spec("select", w.distribution),
        code=lambda w: study.code("select", w.distribution),
        plugins=lambda w: plugin_flags("select", w.distribution),
    shell:
        "python -m proxyscale select --log {log:q} {params.plugins} --pool {input.pool:q}"
        " --tokenizer {input.tokenizer:q} --target {input.target:q} --scores {input.scores:q}"
        " --spec {params.spec:q} --out {output:q}"
