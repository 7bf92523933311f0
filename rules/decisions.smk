# From losses to what to train: a mixture, where mixtures were varied, and the next runs.
#
# in:   losses.parquet  runs.parquet  the table of mixture weights, if there is one
# out:  proposal.{json,yaml,csv}  next.{json,yaml,csv}
# steps: propose | plan
#
# Both .yaml are configs: given as a second --configfile they train what is proposed.


if study.weights:

    rule proposal:
        input:
            losses=paths.losses,
            runs=paths.runs,
            weights=study.weights,
            pool=[study.pool] if study.pool else [],
        output:
            json=f"{paths.proposal}.json",
            yaml=f"{paths.proposal}.yaml",
            csv=f"{paths.proposal}.csv",
        log:
            paths.log("proposal"),
        conda:
            "../envs/proxyscale.yaml"
        resources:
            **asks(lambda w: needs.reading()),
        params:
            spec=lambda w: words("--spec", study.spec("proposal")),
            code=study.code("proposal"),
            pool=lambda w, input: files_flags("pool", input.pool),
            stem=lambda w, output: output.json.removesuffix(".json"),
        shell:
            "python -m proxyscale proposal --log {log:q} --losses {input.losses:q}"
            " --runs {input.runs:q} --weights {input.weights:q} {params.pool} {params.spec}"
            " --out {params.stem:q}"


rule next_steps:
    """Plan what to train next."""
    input:
        losses=paths.losses,
        runs=paths.runs,
    output:
        json=f"{paths.next_steps}.json",
        yaml=f"{paths.next_steps}.yaml",
        csv=f"{paths.next_steps}.csv",
    log:
        paths.log("next_steps"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: words("--spec", study.spec("next_steps")),
        code=study.code("next_steps"),
        stem=lambda w, output: output.json.removesuffix(".json"),
    shell:
        "python -m proxyscale next_steps --log {log:q} --losses {input.losses:q}"
        " --runs {input.runs:q} {params.spec} --out {params.stem:q}"
