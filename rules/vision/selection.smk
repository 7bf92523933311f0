# From the pool of images to training distributions.
#
# in:   pool/  tasks/{task}  scores/**  runs/**
# out:  distributions/{distribution}/{ensemble}.parquet
#
# Distributions that leave something out are drawn by scores or features of the reference's models.


removals = study.config.counterfactuals


rule subsets:
    """Draw the training distributions of an ensemble: by chance, by classes, by scores."""
    input:
        unpack(subset_inputs),
    output:
        paths.subsets(),
    log:
        paths.log("subsets/{distribution}/{ensemble}"),
    priority: 900_000
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.subsets(w.distribution)),
    params:
        spec=lambda w: study.spec("subsets", w.distribution, w.ensemble),
        verb=lambda w: subset_verb(w),
        code=lambda w: study.code(subset_verb(w)),
        known=subset_flags,
    shell:
        "python -m proxyscale {params.verb} --log {log:q} --gpus {resources.gpu} --pool {input.pool:q} {params.known}"
        " --spec {params.spec:q} --out {output:q}"
