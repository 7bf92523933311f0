# From losses to statistics, whoever trained the models.
#
# in:   losses.parquet  runs.parquet
# out:  statistics.parquet
# steps: correlate


rule statistics:
    """How well each scale foretells the reference."""
    input:
        losses=paths.losses,
        runs=paths.runs,
        weights=[study.weights] if study.weights else [],
        rivals=[paths.rival_losses, paths.rival_runs] if study.rivals else [],
        checkpoints=[study.checkpoint_losses] if study.checkpoint_losses else [],
        tasks=holdouts(study.tasks),
    output:
        paths.statistics,
    log:
        paths.log("statistics"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: words("--spec", study.spec("statistics")),
        code=study.code("statistics"),
        weights=lambda w, input: files_flags("weights", input.weights),
        rivals=lambda w, input: files_flags("rivals", input.rivals),
        checkpoints=lambda w, input: files_flags("checkpoints", input.checkpoints),
        tasks=lambda w, input: flags(
            "task",
            [(task, paths.task(task)) for task in study.tasks],
            storage_root(input.losses, paths.losses),
        ),
    shell:
        "python -m proxyscale statistics --log {log:q} --losses {input.losses:q}"
        " --runs {input.runs:q} {params.weights} {params.rivals} {params.checkpoints}"
        " {params.tasks} {params.spec} --out {output:q}"
