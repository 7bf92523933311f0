# Packs of image models: trained together, and measured.
#
# in:   distributions/{distribution}/{pack}.parquet  pool/  tasks/
# out:  runs/{scale}/{distribution}/{pack}/{manifest,curve,losses/{task}}
# steps: train | measure


rule train_pack:
    input:
        pool=paths.pool,
        distribution=paths.subsets(),
    output:
        manifest(paths.image_pack()),
        inside(paths.image_pack(), "curve.parquet"),
    log:
        paths.log("train/{scale}/{distribution}/{pack}"),
    priority: pack_priority
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        gpu=gpus,
    params:
        spec=lambda w: study.spec("train_pack", w.scale, w.distribution, w.pack),
        code=study.code("train_pack"),
        out=subpath(output[0], parent=True),
        title="{scale}/{distribution} {pack}",
    shell:
        "python -m proxyscale train_pack --log {log:q} --gpus {resources.gpu} --pool {input.pool:q}"
        " --distribution {input.distribution:q} --title {params.title:q}"
        " --spec {params.spec:q} --out {params.out:q}"


rule evaluate_pack:
    input:
        pack=manifest(paths.image_pack()),
        task=manifest(paths.task()),
    output:
        inside(paths.image_pack(), "losses/{task}.parquet"),
    log:
        paths.log("evaluate/{scale}/{distribution}/{pack}/{task}"),
    priority: pack_priority
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        gpu=gpus,
    params:
        code=study.code("evaluate_pack"),
        pack=subpath(input.pack, parent=True),
        task=subpath(input.task, parent=True),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale evaluate_pack --log {log:q} --gpus {resources.gpu} --pack {params.pack:q}"
        " --task {wildcards.task:q} --folder {params.task:q} --scale {wildcards.scale:q}"
        " --distribution {wildcards.distribution:q} --out {params.out:q}"
