# Attribution: which pool images move a test image?
#
# in:   runs/{scale}/{distribution}/{ensemble}/  pool/  tasks/
# out:  scores/{scale}/{distribution}/{ensemble}/  datamodels/{scale}/
# steps: TRAK, from the gradients of models | datamodels, from models of many subsets


rule score_ensemble:
    """Attribute every test image to the pool through an ensemble's models (TRAK)."""
    input:
        ensemble=manifest(paths.image_ensemble()),
        pool=paths.pool,
        tasks=task_manifests,
    output:
        manifest(paths.image_scores()),
        [inside(paths.image_scores(), f"{name}.npy") for name in study.config.tasks],
        inside(paths.image_scores(), "residuals.npy"),
    log:
        paths.log("score/{scale}/{distribution}/{ensemble}"),
    priority: 800_000
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.score_ensemble(**w)),
    params:
        spec=study.spec("score_ensemble"),
        code=study.code("score_ensemble"),
        ensemble=subpath(input.ensemble, parent=True),
        tasks=task_flags,
        out=subpath(output[0], parent=True),
        title="scores {scale}/{distribution} {ensemble}",
    shell:
        "python -m proxyscale score_ensemble --log {log:q} --gpus {resources.gpu} --pool {input.pool:q} --ensemble {params.ensemble:q}"
        " {params.tasks} --title {params.title:q} --spec {params.spec:q} --out {params.out:q}"


rule datamodels:
    """Regress outputs on the subsets that were trained on (datamodels)."""
    input:
        pool=paths.pool,
        subsets=lambda w: [
            paths.subsets(d, p) for _, d, p in regression_ensembles(w.scale)
        ],
        losses=lambda w: [
            f"{paths.image_ensemble(*ref)}/losses/{task}.parquet"
            for task in study.config.tasks
            for ref in regression_ensembles(w.scale)
        ],
    output:
        manifest(paths.datamodels()),
    log:
        paths.log("datamodels/{scale}"),
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.datamodels(w.scale)),
    params:
        spec=lambda w: study.spec("datamodels"),
        code=study.code("datamodels"),
        subsets=lambda w, input: flags(
            "subsets", [("ensemble", f) for f in input.subsets]
        ),
        losses=lambda w: flags(
            "losses",
            [
                (task, f"{paths.image_ensemble(*ref)}/losses/{task}.parquet")
                for task in study.config.tasks
                for ref in regression_ensembles(w.scale)
            ],
        ),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale datamodels --log {log:q} --pool {input.pool:q} {params.subsets}"
        " {params.losses} --spec {params.spec:q} --out {params.out:q}"
