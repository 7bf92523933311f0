# From runs that somebody trained to the same two tidy tables.
#
# in:   the tables of the config's `runs`
# out:  losses.parquet  runs.parquet  checkpoints.parquet  reading.json


rule own_runs:
    """Read runs that somebody trained into the same two tables."""
    input:
        study.inputs,
    output:
        losses=paths.losses,
        runs=paths.runs,
        checkpoints=paths.checkpoints,
        reading=paths.reading,
    log:
        paths.log("own_runs"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: words("--spec", study.spec("own_runs")),
        code=study.code("own_runs"),
        tables=flags(
            "table",
            [
                (scale, path)
                for scale, files in study.table_files.items()
                for path in files
            ],
        ),
    shell:
        "python -m proxyscale own_runs --log {log:q} {params.tables} {params.spec}"
        " --losses {output.losses:q} --runs {output.runs:q}"
        " --checkpoints {output.checkpoints:q} --reading {output.reading:q}"
