# What n-grams alone say of the test sets, which trains nothing.
#
# in:   distributions/{distribution}.parquet  pool/  tasks/
# out:  rivals/{losses,runs}.parquet


rule rivals:
    """Ask what trains nothing of every test set."""
    input:
        pool=paths.pool,
        rows=pool_rows(),
        distributions=[paths.distribution(name) for name in sorted(study.grid)],
        tasks=holdouts(sorted(study.config.tasks)),
    output:
        losses=paths.rival_losses,
        runs=paths.rival_runs,
    log:
        paths.log("rivals"),
    priority: 400_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.rivals()),
    params:
        spec=study.spec("rivals"),
        code=study.code("rivals"),
        tasks=lambda w, input: flags(
            "task",
            [(task, paths.task(task)) for task in sorted(study.config.tasks)],
            storage_root(input.pool, paths.pool),
        ),
        distributions=lambda w, input: flags(
            "distribution", zip(sorted(study.grid), input.distributions)
        ),
    shell:
        "python -m proxyscale rivals --log {log:q} --pool {input.pool:q} {params.tasks}"
        " {params.distributions} --spec {params.spec:q} --losses {output.losses:q}"
        " --runs {output.runs:q}"
