# Selecting data through proxies (Figure 8): what each selection gains over random subsets.
#
# in:   runs/{reference}/{selection}/  distributions/{selection}.parquet  scores/
# out:  selection/{losses,runs}.parquet  tables/selection.csv
# steps: collect | compare
#
# The selections are distributions and their runs are runs: the rules that make them are the same.


rule selection_collect:
    """Gather the runs on selections in two tables."""
    input:
        losses=[
            f"{paths.run(*run)}/losses/{task}.parquet"
            for run in study.selection_runs
            for task in study.config.tasks
        ],
        runs=[manifest(paths.run(*run)) for run in study.selection_runs],
        curves=ancient(
            [f"{paths.run(*run)}/curve.parquet" for run in study.selection_runs]
        ),
    output:
        losses=paths.selection_losses,
        runs=paths.selection_runs,
    log:
        paths.log("selection_collect"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=words("--spec", study.spec("collect", study.selection_runs)),
        code=study.code("collect"),
        results=subpath(output.losses, ancestor=2),
    shell:
        "python -m proxyscale collect --log {log:q} --results {params.results:q}"
        " {params.spec} --losses {output.losses:q} --runs {output.runs:q}"


rule gains:
    """What selecting data through each proxy gains over random subsets."""
    input:
        losses=paths.selection_losses,
        runs=paths.selection_runs,
        selected=[paths.distribution(selected.name) for selected in study.selected],
        scores=[paths.scores(*scoring) for scoring in study.selection_scorings],
        tasks=holdouts(study.config.tasks),
    output:
        titled(paths.gains, "gains of selection (Figure 8)"),
    log:
        paths.log("gains"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=words("--spec", study.spec("gains")),
        code=study.code("gains"),
        results=subpath(output[0], ancestor=2),
    shell:
        "python -m proxyscale gains --log {log:q} --results {params.results:q}"
        " --losses {input.losses:q} --runs {input.runs:q} {params.spec} --out {output:q}"
