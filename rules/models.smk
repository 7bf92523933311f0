# From models that are there to the tidy tables.
#
# in:   the records of the tasks, the models of the config's `models`
# out:  tasks/{task}  models/{scale}/{recipe}/{seed}@{step}  losses.parquet  runs.parquet
#       checkpoints.parquet  reading.json  tables/models.csv
# steps: ask | measure | collect
MODELS = {(m.scale, m.recipe, m.name): m for m in study.models}


def model_of(wildcards):
    """The model of a job."""
    return MODELS[wildcards.scale, wildcards.distribution, wildcards.model]


rule questions:
    """Take a test set's items for models that are there."""
    output:
        manifest=manifest(paths.task()),
        holdout=inside(paths.task(), "holdout.parquet"),
    log:
        paths.log("questions/{task}"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: study.spec("questions", w.task),
        files=lambda w: study.record_stamp(w.task),
        code=lambda w: study.code("questions", w.task),
        plugins=lambda w: plugin_flags("questions", w.task),
    shell:
        "python -m proxyscale questions --log {log:q} {params.plugins}"
        " --spec {params.spec:q} --out {output.manifest:q}"


rule measure:
    """Take the losses of a model that is there on every test example."""

    # A job measures only those tasks whose losses are missing or no longer vouched for.
    input:
        tasks=[manifest(paths.task(task)) for task in sorted(study.tasks)],
        examples=ancient(
            [inside(paths.task(t), "holdout.parquet") for t in study.tasks]
        ),
    output:
        [
            update(inside(paths.model(), f"{kind}/{task}.parquet"))
            for kind in ("losses", "bytes")
            for task in study.tasks
        ],
        manifest=update(manifest(paths.model())),
    log:
        paths.log("measure/{scale}/{distribution}/{model}"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(
            lambda w: needs.measure(
                model_of(w), study.config.models.gpus or len(here[:1])
            )
        ),
    params:
        spec=lambda w: study.spec("measure", model_of(w), study.stamp(model_of(w))),
        code=study.code("measure"),
        tasks=lambda w, input: words(*input.tasks),
        title="{scale}/{distribution} {model}",
    shell:
        "python -m proxyscale measure --log {log:q} --gpus {resources.gpu} --task {params.tasks}"
        " --title {params.title:q} --spec {params.spec:q} --code {params.code}"
        " --out {output.manifest:q}"


rule collect_models:
    """Gather the losses of all models in the same two tables."""
    input:
        losses=[
            inside(paths.model(*key), f"{kind}/{task}.parquet")
            for key in MODELS
            for kind in ("losses", "bytes")
            for task in study.tasks
        ],
        models=[manifest(paths.model(*key)) for key in MODELS],
    output:
        losses=paths.losses,
        runs=paths.runs,
        checkpoints=paths.checkpoints,
        reading=paths.reading,
        table=paths.table("models"),
        text=inside(paths.results, "tables/models.txt"),
    log:
        paths.log("collect_models"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=words("--spec", study.spec("collect_models", study.models)),
        code=study.code("collect_models"),
        results=subpath(output.losses, parent=True),
    shell:
        "python -m proxyscale collect_models --log {log:q} --results {params.results:q}"
        " {params.spec} --losses {output.losses:q} --runs {output.runs:q}"
        " --checkpoints {output.checkpoints:q} --reading {output.reading:q}"
        " --table {output.table:q}"
