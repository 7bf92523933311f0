# From losses and scores of image models to statistics and tables.
#
# in:   runs/**  scores/**  datamodels/**
# out:  losses.parquet  runs.parquet  statistics.parquet  tables/{table}.csv
# steps: collect | correlate | tabulate


rule collect_ensembles:
    """Gather all ensembles in two tables."""
    input:
        runs=[manifest(paths.image_ensemble(*ref)) for ref in study.all_ensembles],
        losses=[
            f"{paths.image_ensemble(*ref)}/losses/{task}.parquet"
            for ref in study.all_ensembles
            for task in study.config.tasks
        ],
    output:
        losses=paths.losses,
        runs=paths.runs,
    log:
        paths.log("collect"),
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=words("--spec", study.spec("collect_ensembles")),
        code=study.code("collect_ensembles"),
        results=subpath(output.losses, parent=True),
    shell:
        "python -m proxyscale collect_ensembles --log {log:q} --results {params.results:q}"
        " {params.spec} --losses {output.losses:q} --runs {output.runs:q}"


rule image_statistics:
    """How well the scores of each width foretell the reference."""
    input:
        losses=paths.losses,
        runs=paths.runs,
        pool=paths.pool,
        tasks=task_manifests,
        truth=[
            paths.subsets(attribution.truth, p)
            for p in study.ensembles(attribution.truth)
        ],
        scores=score_manifests(study.scales),
        datamodels=[manifest(paths.datamodels(s)) for s in study.regressed],
    output:
        paths.statistics,
    log:
        paths.log("statistics"),
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.image_statistics()),
    params:
        spec=words("--spec", study.spec("image_statistics")),
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
        " {params.datamodels} {params.spec} --out {output:q}"


rule image_table:
    """Write a table of architectures or hyperparameters."""
    output:
        paths.table(),
    log:
        paths.log("table/{table}"),
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: study.spec("image_table", w.table),
        code=study.code("image_table"),
    shell:
        "python -m proxyscale image_table --log {log:q} --spec {params.spec:q} --out {output:q}"
