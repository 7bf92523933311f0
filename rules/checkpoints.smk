# What runs lost on their way, where their checkpoints were kept.
#
# in:   runs/**/losses/{task}@{share}.parquet
# out:  checkpoints.parquet


rule checkpoints:
    """Gather what all runs lost on their way."""
    input:
        losses=[
            f"{paths.run(*run)}/losses/{loss_stem(task, share)}.parquet"
            for run in study.runs
            for task in study.config.tasks
            for share in study.config.checkpoints
        ],
        runs=[manifest(paths.run(*run)) for run in study.runs],
    output:
        paths.checkpoints,
    log:
        paths.log("checkpoints"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=words("--spec", study.spec("checkpoints")),
        code=study.code("checkpoints"),
        results=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale checkpoints --log {log:q} --results {params.results:q}"
        " {params.spec} --out {output:q}"
