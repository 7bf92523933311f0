# From runs that somebody trained to the same two tidy tables.
#
# in:   the tables of the config's `runs`
# out:  losses.parquet  runs.parquet


rule own_runs:
    input:
        list(study.table_files.values()),
    output:
        losses=paths.losses,
        runs=paths.runs,
    log:
        paths.log("own_runs"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: study.spec("own_runs"),
        code=study.code("own_runs"),
        tables=flags("table", study.table_files.items()),
    shell:
        "python -m proxyscale own_runs --log {log:q} {params.tables} --spec {params.spec:q}"
        " --losses {output.losses:q} --runs {output.runs:q}"
