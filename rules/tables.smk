# From the runs of this study to two tidy tables, and to tables of what they cost.
#
# in:   runs/**/losses/{task}.parquet  runs/**/{manifest.json,curve.parquet}
# out:  losses.parquet  runs.parquet  mixtures.csv  tables/{table}.{csv,txt}
# steps: collect | tell shares of the sources | tell what it cost


rule collect:
    """Gather all runs in two tables."""
    input:
        losses=[
            f"{paths.run(*run)}/losses/{task}.parquet"
            for run in study.runs
            for task in study.config.tasks
        ],
        runs=[manifest(paths.run(*run)) for run in study.runs],
        curves=ancient([f"{paths.run(*run)}/curve.parquet" for run in study.runs]),
    output:
        losses=paths.losses,
        runs=paths.runs,
    log:
        paths.log("collect"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=words("--spec", study.spec("collect", study.runs)),
        code=study.code("collect"),
        results=subpath(output.losses, parent=True),
    shell:
        "python -m proxyscale collect --log {log:q} --results {params.results:q}"
        " {params.spec} --losses {output.losses:q} --runs {output.runs:q}"


rule mixtures:
    """Each distribution's share of every source."""
    input:
        pool=paths.pool,
        distributions=[paths.distribution(name) for name in study.mixed],
        rows=pool_rows(),
    output:
        paths.mixtures,
    log:
        paths.log("mixtures"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        code=study.code("mixtures"),
        distributions=lambda w, input: flags(
            "distribution", zip(study.mixed, input.distributions)
        ),
    shell:
        "python -m proxyscale mixtures --log {log:q} --pool {input.pool:q} {params.distributions}"
        " --out {output:q}"


rule table:
    """Write one table of what scales are and cost, as CSV and as text."""

    # What attribution took is known when there are scores.
    input:
        runs=paths.runs,
        pool=paths.pool,
        scores=lambda w: [
            paths.scores(*scoring) for scoring in study.scorings if w.table == "tab9"
        ],
    output:
        csv=titled(paths.table()),
        text=inside(paths.results, "tables/{table}.txt"),
    log:
        paths.log("table/{table}"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: words("--spec", study.spec("table", w.table)),
        code=study.code("table"),
        features=flags("features", study.features_logs),
    shell:
        "python -m proxyscale table --log {log:q} --runs {input.runs:q} --pool {input.pool:q}"
        " {params.features} {params.spec} --out {output.csv:q}"


rule composition:
    """What the distributions are made of."""
    input:
        pool=paths.pool,
        distributions=[paths.distribution(name) for name in sorted(study.grid)],
        rows=pool_rows(),
    output:
        csv=titled(paths.table("composition"), "composition"),
        text=inside(paths.results, "tables/composition.txt"),
    log:
        paths.log("table/composition"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        code=study.code("composition"),
        distributions=lambda w, input: flags(
            "distribution", zip(sorted(study.grid), input.distributions)
        ),
    shell:
        "python -m proxyscale composition --log {log:q} --pool {input.pool:q}"
        " {params.distributions} --out {output.csv:q}"


rule effects:
    """Whether selected distributions help their tasks."""
    input:
        losses=paths.losses,
        runs=paths.runs,
    output:
        csv=titled(paths.table("effects"), "effects of selection"),
        text=inside(paths.results, "tables/effects.txt"),
    log:
        paths.log("table/effects"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=words("--spec", study.spec("effects")),
        code=study.code("effects"),
    shell:
        "python -m proxyscale effects --log {log:q} --losses {input.losses:q}"
        " --runs {input.runs:q} {params.spec} --out {output.csv:q}"
