# From losses to statistics, whoever trained the models.
#
# in:   losses.parquet  runs.parquet
# out:  statistics.parquet
# steps: correlate


rule statistics:
    input:
        losses=paths.losses,
        runs=paths.runs,
        weights=[study.weights] if study.weights else [],
    output:
        paths.statistics,
    log:
        paths.log("statistics"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: words("--spec", study.spec("statistics")),
        code=study.code("statistics"),
        weights=lambda w, input: files_flags("weights", input.weights),
    shell:
        "python -m proxyscale statistics --log {log:q} --losses {input.losses:q}"
        " --runs {input.runs:q} {params.weights} {params.spec} --out {output:q}"
