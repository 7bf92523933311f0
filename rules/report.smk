# The report of a study of any kind, from its tables.
#
# in:   statistics.parquet  losses.parquet  runs.parquet  tables/{table}.csv  {figure}.svg
# out:  report.html
# steps: write the report


rule report:
    """Write the report: one file with the answer, what to train on, figures and tables."""
    input:
        statistics=paths.statistics,
        losses=paths.losses,
        runs=paths.runs,
        assets=[local(name) for name in REPORT_FILES],
        pool=[study.pool] if study.pool else [],
        reading=[study.reading] if study.reading else [],
        tasks=holdouts(study.tasks),
        tables=list(study.report_tables.values()),
        pictures=list(study.report_pictures.values()),
        decided=[f"{stem}.json" for stem in study.decisions],
    output:
        report(paths.report, caption="../workflow/report/report.rst", category="Report"),
    log:
        paths.log("report"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: words("--spec", study.spec("report")),
        code=study.code("report"),
        pool=lambda w, input: files_flags("pool", input.pool),
        reading=lambda w, input: files_flags("reading", input.reading),
        tasks=lambda w, input: report_flags(
            "task", {task: paths.task(task) for task in study.tasks}, input.losses
        ),
        tables=lambda w, input: report_flags("table", study.report_tables, input.losses),
        pictures=lambda w, input: report_flags(
            "picture", study.report_pictures, input.losses
        ),
        decided=lambda w, input: files_flags("decided", input.decided),
    shell:
        "python -m proxyscale report --log {log:q} --statistics {input.statistics:q}"
        " --losses {input.losses:q} --runs {input.runs:q} {params.pool} {params.reading}"
        " {params.tasks} {params.tables} {params.pictures} {params.decided} {params.spec}"
        " --out {output:q}"
