# From losses to statistics and figures, whoever trained the models.
#
# in:   losses.parquet  runs.parquet
# out:  statistics.parquet  {figure}.{pdf,svg,csv}
# steps: correlate | draw


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
    params:
        spec=study.statistics(),
        code=study.code("statistics"),
        weights=f"--weights {shlex.quote(study.weights)}" if study.weights else "",
    shell:
        "python -m proxyscale statistics --log {log} --losses {input.losses:q}"
        " --runs {input.runs:q} {params.weights} --spec {params.spec:q} --out {output:q}"


rule figure:
    input:
        statistics=paths.statistics,
        losses=paths.losses,
        runs=paths.runs,
    output:
        multiext(paths.figure(), ".pdf", ".svg", ".csv"),
    log:
        paths.log("figure/{figure}"),
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.figure(w.figure),
        code=study.code("figure"),
        stem=paths.figure(),
    shell:
        "python -m proxyscale figure --log {log} --losses {input.losses:q} --runs {input.runs:q}"
        " --statistics {input.statistics:q} --spec {params.spec:q} --out {params.stem:q}"
