# From losses and scores of image models to statistics, figures and tables.
#
# in:   runs/**  scores/**  datamodels/**
# out:  losses.parquet  runs.parquet  statistics.parquet  {figure}.{pdf,svg,csv}  tables/{table}.csv
# steps: collect | correlate | draw | tabulate


rule collect_packs:
    input:
        runs=[manifest(paths.image_pack(*ref)) for ref in study.all_packs],
        losses=[
            f"{paths.image_pack(*ref)}/losses/{task}.parquet"
            for ref in study.all_packs
            for task in study.config.tasks
        ],
    output:
        losses=paths.losses,
        runs=paths.runs,
    log:
        paths.log("collect"),
    conda:
        "../../envs/proxyscale.yaml"
    params:
        spec=study.spec("collect_packs"),
        code=study.code("collect_packs"),
        results=subpath(output.losses, parent=True),
    shell:
        "python -m proxyscale collect_packs --log {log:q} --results {params.results:q}"
        " --spec {params.spec:q} --losses {output.losses:q} --runs {output.runs:q}"


rule image_statistics:
    input:
        losses=paths.losses,
        runs=paths.runs,
        pool=paths.pool,
        tasks=task_manifests,
        truth=[
            paths.subsets(attribution.truth, p) for p in study.packs(attribution.truth)
        ],
        scores=score_manifests(study.scales),
        datamodels=[manifest(paths.datamodels(s)) for s in study.regressed],
    output:
        paths.statistics,
    log:
        paths.log("statistics"),
    conda:
        "../../envs/proxyscale.yaml"
    params:
        spec=study.spec("image_statistics"),
        code=study.code("image_statistics"),
        tasks=task_flags,
        truth=lambda w, input: flags("truth", enumerate(input.truth)),
        scores=score_folders(study.scales),
        datamodels=flags(
            "datamodels", [(s, paths.datamodels(s)) for s in study.regressed]
        ),
    shell:
        "python -m proxyscale image_statistics --log {log:q} --losses {input.losses:q}"
        " --runs {input.runs:q} --pool {input.pool:q} {params.tasks} {params.truth} {params.scores}"
        " {params.datamodels} --spec {params.spec:q} --out {output:q}"


rule image_figure:
    input:
        statistics=paths.statistics,
        losses=paths.losses,
        runs=paths.runs,
        pool=paths.pool,
        tasks=task_manifests,
        scores=score_manifests(study.scales),
    output:
        pdf=f"{paths.figure()}.pdf",
        svg=report(
            f"{paths.figure()}.svg",
            caption="../../workflow/report/image_figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        csv=f"{paths.figure()}.csv",
    log:
        paths.log("figure/{figure}"),
    conda:
        "../../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.spec("image_figure", w.figure),
        code=study.code("image_figure"),
        tasks=task_flags,
        scores=score_folders(study.scales),
        stem=lambda w, output: output.pdf.removesuffix(".pdf"),
    shell:
        "python -m proxyscale image_figure --log {log:q} --losses {input.losses:q} --runs {input.runs:q}"
        " --statistics {input.statistics:q} --pool {input.pool:q} {params.tasks} {params.scores}"
        " --spec {params.spec:q} --out {params.stem:q}"


rule image_table:
    output:
        paths.table(),
    log:
        paths.log("table/{table}"),
    conda:
        "../../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.spec("image_table", w.table),
        code=study.code("image_table"),
    shell:
        "python -m proxyscale image_table --log {log:q} --spec {params.spec:q} --out {output:q}"
