# From distributions to models, and from models to the loss on every test example.
#
# in:   distributions/{distribution}.parquet  pool/  tasks/
# out:  runs/{scale}/{distribution}/{draw}-{seed}/{model,curve,manifest,losses/{task}}
# steps: train | evaluate
#
# The longest jobs start first, so that none of them is left alone at the end.


rule train:
    input:
        pool=paths.pool,
        rows=ancient([f"{paths.pack(source)}/inputs.npy" for source in study.sources]),
        distribution=paths.distribution(),
    output:
        manifest(paths.run()),
        inside(paths.run(), "model.safetensors"),
        inside(paths.run(), "curve.parquet"),
    log:
        paths.log("train/{scale}/{distribution}/{draw}-{seed}"),
    priority: priority_of
    conda:
        "../envs/proxyscale.yaml"
    # Resources make nothing stale: how a run is executed is no part of what it is.
    resources:
        execution=lambda w: study.execution(w.scale),
    params:
        spec=lambda w: study.train(w.scale, w.distribution, int(w.draw), int(w.seed)),
        code=lambda w: study.code(study.engine(w.scale)),
        out=subpath(output[0], parent=True),
        title="{scale}/{distribution} draw {draw} seed {seed}",
    shell:
        "python -m proxyscale train --log {log} --pool {input.pool:q}"
        " --distribution {input.distribution:q} --title {params.title:q}"
        " --spec {params.spec:q} --execution {resources.execution:q} --out {params.out:q}"


rule evaluate:
    # A job measures only those tasks whose losses are missing or no longer vouched for.
    input:
        run=manifest(paths.run()),
        model=ancient(inside(paths.run(), "model.safetensors")),
        tasks=[manifest(paths.task(task)) for task in study.config.tasks],
    output:
        [update(f"{paths.run()}/losses/{task}.parquet") for task in study.config.tasks],
    log:
        paths.log("evaluate/{scale}/{distribution}/{draw}-{seed}"),
    priority: priority_of
    conda:
        "../envs/proxyscale.yaml"
    params:
        code=study.code("evaluate"),
        tasks=flags(
            "task", [(task, paths.task(task)) for task in sorted(study.config.tasks)]
        ),
        run=subpath(input.run, parent=True),
        out=subpath(output[0], parent=True),
        title="{scale}/{distribution} draw {draw} seed {seed}",
    shell:
        "python -m proxyscale evaluate --log {log} --run {params.run:q} {params.tasks}"
        " --title {params.title:q} --code {params.code} --out {params.out:q}"
