# Ensembles of image models: trained together, and measured.
#
# in:   distributions/{distribution}/{ensemble}.parquet  pool/  tasks/
# out:  runs/{scale}/{distribution}/{ensemble}/{manifest,curve,losses/{task}}
# steps: train | measure


rule train_ensemble:
    """Train the image models of an ensemble."""
    input:
        pool=paths.pool,
        distribution=paths.subsets(),
    output:
        manifest(paths.image_ensemble()),
        inside(paths.image_ensemble(), "curve.parquet"),
    log:
        paths.log("train/{scale}/{distribution}/{ensemble}"),
    priority: ensemble_priority
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.train_ensemble(**w)),
    params:
        spec=lambda w: study.spec("train_ensemble", w.scale, w.distribution, w.ensemble),
        code=study.code("train_ensemble"),
        out=subpath(output[0], parent=True),
        title="{scale}/{distribution} {ensemble}",
    shell:
        "python -m proxyscale train_ensemble --log {log:q} --gpus {resources.gpu} --pool {input.pool:q}"
        " --distribution {input.distribution:q} --title {params.title:q}"
        " --spec {params.spec:q} --out {params.out:q}"


rule evaluate_ensemble:
    """Take the losses and margins of an ensemble's models on a test set."""
    input:
        ensemble=manifest(paths.image_ensemble()),
        task=manifest(paths.task()),
    output:
        inside(paths.image_ensemble(), "losses/{task}.parquet"),
    log:
        paths.log("evaluate/{scale}/{distribution}/{ensemble}/{task}"),
    priority: ensemble_priority
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.evaluate_ensemble(**w)),
    params:
        code=study.code("evaluate_ensemble"),
        ensemble=subpath(input.ensemble, parent=True),
        task=subpath(input.task, parent=True),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale evaluate_ensemble --log {log:q} --gpus {resources.gpu} --ensemble {params.ensemble:q}"
        " --task {wildcards.task:q} --folder {params.task:q} --scale {wildcards.scale:q}"
        " --distribution {wildcards.distribution:q} --out {params.out:q}"
