# From losses to statistics and the report, whoever trained the models.
#
# in:   losses.parquet  runs.parquet
# out:  statistics.parquet  report.html
# steps: correlate | write the report


ASSETS = f"{workflow.basedir}/src/proxyscale/reporting/assets"
REPORT_FILES = ("report.html", "report.css", "report.js")


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


rule report:
    input:
        statistics=paths.statistics,
        losses=paths.losses,
        runs=paths.runs,
        assets=[local(f"{ASSETS}/{name}") for name in REPORT_FILES],
        pool=[paths.pool] if study.tasks else [],
        reading=[study.reading] if study.reading else [],
        tasks=holdouts(study.tasks),
    output:
        report(paths.report, caption="../workflow/report/report.rst", category="Report"),
    log:
        paths.log("report"),
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: words("--spec", study.spec("report")),
        code=study.code("report"),
        pool=lambda w, input: files_flags("pool", input.pool),
        reading=lambda w, input: files_flags("reading", input.reading),
        tasks=lambda w, input: flags(
            "task",
            [(task, paths.task(task)) for task in study.tasks],
            storage_root(input.losses, paths.losses),
        ),
    shell:
        "python -m proxyscale report --log {log:q} --statistics {input.statistics:q}"
        " --losses {input.losses:q} --runs {input.runs:q} {params.pool} {params.reading}"
        " {params.tasks} {params.spec} --out {output:q}"
