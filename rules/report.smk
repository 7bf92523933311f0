# From losses to statistics and figures.
#
# in:   runs/**/losses/{task}.parquet  runs/**/{manifest.json,curve.parquet}
# out:  losses.parquet  runs.parquet  statistics.parquet  {figure}.{pdf,svg,csv}
#       tables/{table}.{csv,txt}
# steps: collect | correlate | draw | tell what it cost


rule collect:
    input:
        losses=[
            f"{paths.run(*run)}/losses/{task}.parquet"
            for run in study.runs
            for task in study.config.tasks
        ],
        runs=[manifest(paths.run(*run)) for run in study.runs],
        curves=ancient([f"{paths.run(*run)}/curve.parquet" for run in study.runs]),
    output:
        losses=paths.losses,
        runs=paths.runs,
    log:
        paths.log("collect"),
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=study.collect(),
        code=study.code("collect"),
        results=subpath(output.losses, parent=True),
    shell:
        "python -m proxyscale collect --log {log} --results {params.results:q}"
        " --spec {params.spec:q} --losses {output.losses:q} --runs {output.runs:q}"


rule statistics:
    input:
        losses=paths.losses,
        runs=paths.runs,
    output:
        paths.statistics,
    log:
        paths.log("statistics"),
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=study.statistics(),
        code=study.code("statistics"),
    shell:
        "python -m proxyscale statistics --log {log} --losses {input.losses:q}"
        " --runs {input.runs:q} --spec {params.spec:q} --out {output:q}"


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


rule table:
    input:
        runs=paths.runs,
        pool=paths.pool,
    output:
        csv=paths.table(),
        text=inside(paths.results, "tables/{table}.txt"),
    log:
        paths.log("table/{table}"),
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.table(w.table),
        code=study.code("table"),
    shell:
        "python -m proxyscale table --log {log} --runs {input.runs:q} --pool {input.pool:q}"
        " --spec {params.spec:q} --out {output.csv:q}"
