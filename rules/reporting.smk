# From losses to statistics, figures and the report, whoever trained the models.
#
# in:   losses.parquet  runs.parquet
# out:  statistics.parquet  {figure}.{pdf,svg,csv}  report.html
# steps: correlate | draw | write the report


from proxyscale.study.study import READ

ASSETS = f"{workflow.basedir}/src/proxyscale/reporting/assets"
REPORT_FILES = ("report.html", "report.css", "report.js")


def storage_root(found, path):
    """What stands before the study's paths in a job: with a storage, the folder of its copies."""
    return str(found).removesuffix(path) if str(found).endswith(path) else ""


def more_tables(wildcards, root=""):
    """What a figure reads besides statistics, losses and runs: its files, and their flags."""
    kind = READ.get(wildcards.figure)
    if kind == "tasks":
        folders = [(task, paths.task(task)) for task in study.config.tasks]
        return holdouts(study.config.tasks), flags("task", folders, root)
    if kind == "curves":
        files = [f"{paths.run(*run)}/curve.parquet" for run in study.runs]
        return files, files_flags("results", [root + paths.results])
    if kind:
        file = paths.compared(kind)
        return [file], files_flags(kind, [root + file])
    return [], ""


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
        spec=lambda w: study.spec("statistics"),
        code=study.code("statistics"),
        weights=lambda w, input: files_flags("weights", input.weights),
    shell:
        "python -m proxyscale statistics --log {log:q} --losses {input.losses:q}"
        " --runs {input.runs:q} {params.weights} --spec {params.spec:q} --out {output:q}"


rule figure:
    input:
        statistics=paths.statistics,
        losses=paths.losses,
        runs=paths.runs,
        more=lambda w: more_tables(w)[0],
    output:
        pdf=f"{paths.figure()}.pdf",
        svg=report(
            f"{paths.figure()}.svg",
            caption="../workflow/report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        csv=f"{paths.figure()}.csv",
    log:
        paths.log("figure/{figure}"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: study.spec("figure", w.figure),
        code=study.code("figure"),
        more=lambda w, input: more_tables(w, storage_root(input.losses, paths.losses))[
            1
        ],
        stem=lambda w, output: output.pdf.removesuffix(".pdf"),
    shell:
        "python -m proxyscale figure --log {log:q} --losses {input.losses:q} --runs {input.runs:q}"
        " --statistics {input.statistics:q} {params.more} --spec {params.spec:q}"
        " --out {params.stem:q}"


rule report:
    input:
        statistics=paths.statistics,
        losses=paths.losses,
        runs=paths.runs,
        assets=[local(f"{ASSETS}/{name}") for name in REPORT_FILES],
        pool=[paths.pool] if study.tasks else [],
        tasks=holdouts(study.tasks),
    output:
        report(paths.report, caption="../workflow/report/report.rst", category="Report"),
    log:
        paths.log("report"),
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.spec("report"),
        code=study.code("report"),
        pool=lambda w, input: files_flags("pool", input.pool),
        tasks=lambda w, input: flags(
            "task",
            [(task, paths.task(task)) for task in study.tasks],
            storage_root(input.losses, paths.losses),
        ),
    shell:
        "python -m proxyscale report --log {log:q} --statistics {input.statistics:q}"
        " --losses {input.losses:q} --runs {input.runs:q} {params.pool} {params.tasks}"
        " --spec {params.spec:q} --out {output:q}"
