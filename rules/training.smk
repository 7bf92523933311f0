# From distributions to models, and from models to the loss on every test example.
#
# in:   distributions/{distribution}.parquet  pool/  tasks/
# out:  runs/{scale}/{distribution}/{draw}-{seed}/{model,curve,manifest,losses/{task}}
# steps: train | evaluate
#
# After one run of every scale the longest jobs start first, so that none is left alone at the end.
from proxyscale.study.language_runs import Run


rule train:
    """Train one model."""
    input:
        pool=paths.pool,
        rows=pool_rows(),
        distribution=paths.distribution(),
    output:
        **kept_weights(paths.run()),
        manifest=manifest(paths.run()),
        model=inside(paths.run(), "model.safetensors"),
        curve=inside(paths.run(), "curve.parquet"),
    log:
        paths.log("train/{scale}/{distribution}/{draw}-{seed}"),
    priority: priority_of
    conda:
        "../envs/proxyscale.yaml"
    # Resources make nothing stale: how a run is executed is no part of what it is.
    threads: lambda w: needs.processes(w.scale)
    resources:
        **asks(lambda w: needs.train(w.scale, w.distribution)),
        **on_nodes(lambda w: needs.train(w.scale, w.distribution)),
        execution=lambda w: needs.execution(w.scale),
    params:
        spec=lambda w: study.spec(
            "train", w.scale, w.distribution, int(w.draw), int(w.seed)
        ),
        code=lambda w: study.code("train", w.scale),
        plugins=lambda w: plugin_flags("train", w.scale),
    shell:
        "python -m proxyscale train --log {log:q} --gpus {resources.gpu} {params.plugins}"
        " --pool {input.pool:q} --distribution {input.distribution:q}"
        " --title '{wildcards.scale}/{wildcards.distribution} draw {wildcards.draw}"
        " seed {wildcards.seed}'"
        " --spec {params.spec:q} --execution {resources.execution:q} --out {output.manifest:q}"


rule evaluate:
    """Take a model's loss on every test example."""

    # A job measures only those tasks whose losses are missing or no longer vouched for.
    input:
        run=manifest(paths.run()),
        model=ancient(inside(paths.run(), "model.safetensors")),
        checkpoints=ancient(list(kept_weights(paths.run()).values())),
        tasks=[manifest(paths.task(task)) for task in sorted(study.config.tasks)],
        examples=ancient(
            [inside(paths.task(t), "holdout.parquet") for t in study.config.tasks]
        ),
    output:
        [
            update(f"{paths.run()}/losses/{loss_stem(task, share)}.parquet")
            for task in study.config.tasks
            for share in [None, *study.config.checkpoints]
        ],
    log:
        paths.log("evaluate/{scale}/{distribution}/{draw}-{seed}"),
    priority: priority_of
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.evaluate(w.scale)),
    params:
        spec=study.spec("evaluate"),
        code=lambda w: study.code("evaluate", w.scale),
        plugins=lambda w: plugin_flags("evaluate", w.scale),
        tasks=lambda w, input: words(*input.tasks),
        out=subpath(output[0], parent=True),
        title="{scale}/{distribution} draw {draw} seed {seed}",
    shell:
        "python -m proxyscale evaluate --log {log:q} --gpus {resources.gpu} {params.plugins}"
        " --run {input.run:q} --task {params.tasks} --title {params.title:q} --spec {params.spec:q}"
        " --code {params.code} --out {params.out:q}"
