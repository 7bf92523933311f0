# From the pool of images to training distributions.
#
# in:   pool/  tasks/{task}  scores/**  runs/**
# out:  distributions/{distribution}/{pack}.parquet
#
# Distributions that leave something out are drawn by scores or features of the reference's models.


removals = study.config.counterfactuals


def subset_verb(wildcards):
    """The verb that draws a distribution."""
    by = study.drawn_by(wildcards.distribution)
    return "similar_subsets" if by == "features" else "subsets"


def subset_inputs(wildcards):
    """What a distribution is drawn by, beside the pool."""
    by = study.drawn_by(wildcards.distribution)
    first, reference = scored_packs(study.config.reference)[0], study.config.reference
    return {
        "pool": paths.pool,
        "task": [] if by == "pool" else manifest(paths.task(removals.task)),
        "scores": score_manifests([reference]) if by == "scores" else [],
        "pack": manifest(paths.image_pack(*first)) if by == "features" else [],
    }


def subset_flags(wildcards):
    """The same as flags."""
    by = study.drawn_by(wildcards.distribution)
    first, reference = scored_packs(study.config.reference)[0], study.config.reference
    holdout = "" if by == "pool" else paths.task(removals.task)
    return " ".join(
        [
            f"--holdout {holdout}/holdout/manifest.json" if holdout else "",
            f"--task {removals.task}" if by == "scores" else "",
            score_folders([reference]) if by == "scores" else "",
            f"--pack {paths.image_pack(*first)}" if by == "features" else "",
        ]
    )


rule subsets:
    input:
        unpack(subset_inputs),
    output:
        paths.subsets(),
    log:
        paths.log("subsets/{distribution}/{pack}"),
    priority: 900_000
    conda:
        "../../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.spec("subsets", w.distribution, w.pack),
        verb=lambda w: subset_verb(w),
        code=lambda w: study.code(subset_verb(w)),
        known=subset_flags,
    shell:
        "python -m proxyscale {params.verb} --log {log:q} --pool {input.pool:q} {params.known}"
        " --spec {params.spec:q} --out {output:q}"
