# Attribution: which pool images move a test image?
#
# in:   runs/{scale}/{distribution}/{pack}/  pool/  tasks/
# out:  scores/{scale}/{distribution}/{pack}/  datamodels/{scale}/
# steps: TRAK, from the gradients of models | datamodels, from models of many subsets


rule score_pack:
    input:
        pack=manifest(paths.image_pack()),
        pool=paths.pool,
        tasks=task_manifests,
    output:
        manifest(paths.image_scores()),
        [inside(paths.image_scores(), f"{name}.npy") for name in study.config.tasks],
        inside(paths.image_scores(), "residuals.npy"),
    log:
        paths.log("score/{scale}/{distribution}/{pack}"),
    priority: 800_000
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        gpu=gpus,
    params:
        spec=study.spec("score_pack"),
        code=study.code("score_pack"),
        pack=subpath(input.pack, parent=True),
        tasks=task_flags,
        out=subpath(output[0], parent=True),
        title="scores {scale}/{distribution} {pack}",
    shell:
        "python -m proxyscale score_pack --log {log:q} --gpus {resources.gpu} --pool {input.pool:q} --pack {params.pack:q}"
        " {params.tasks} --title {params.title:q} --spec {params.spec:q} --out {params.out:q}"


rule datamodels:
    input:
        pool=paths.pool,
        subsets=lambda w: [paths.subsets(d, p) for _, d, p in regression_packs(w.scale)],
        losses=lambda w: [
            f"{paths.image_pack(*ref)}/losses/{task}.parquet"
            for task in study.config.tasks
            for ref in regression_packs(w.scale)
        ],
    output:
        manifest(paths.datamodels()),
    log:
        paths.log("datamodels/{scale}"),
    conda:
        "../../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.spec("datamodels"),
        code=study.code("datamodels"),
        subsets=lambda w, input: flags("subsets", [("pack", f) for f in input.subsets]),
        losses=lambda w: flags(
            "losses",
            [
                (task, f"{paths.image_pack(*ref)}/losses/{task}.parquet")
                for task in study.config.tasks
                for ref in regression_packs(w.scale)
            ],
        ),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale datamodels --log {log:q} --pool {input.pool:q} {params.subsets}"
        " {params.losses} --spec {params.spec:q} --out {params.out:q}"
