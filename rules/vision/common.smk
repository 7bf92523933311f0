# What the rules of image models share.
attribution = study.config.attribution
rows = ("inputs.npy", "index.parquet")
task_flags = flags("task", [(name, paths.task(name)) for name in study.config.tasks])
task_manifests = [manifest(paths.task(name)) for name in study.config.tasks]


wildcard_constraints:
    ensemble=r"\d+-\d+",


def scored_ensembles(scale):
    """Folders of the ensembles that TRAK reads at a scale."""
    name = attribution.trak.distribution
    return [(scale, name, ensemble) for ensemble in study.ensembles(name)]


def score_folders(scales):
    """`scale=folder` of every ensemble of scores."""
    return flags(
        "scores",
        [(s, paths.image_scores(*ref)) for s in scales for ref in scored_ensembles(s)],
    )


def score_manifests(scales):
    return [
        manifest(paths.image_scores(*ref))
        for s in scales
        for ref in scored_ensembles(s)
    ]


def regression_ensembles(scale):
    return [
        (scale, attribution.datamodels.distribution, ensemble)
        for ensemble in study.ensembles(attribution.datamodels.distribution)
    ]


def subset_verb(wildcards):
    """The verb that draws a distribution."""
    by = study.drawn_by(wildcards.distribution)
    return "similar_subsets" if by == "features" else "subsets"


def subset_inputs(wildcards):
    """What a distribution is drawn by, beside the pool."""
    by = study.drawn_by(wildcards.distribution)
    first, reference = (
        scored_ensembles(study.config.reference)[0],
        study.config.reference,
    )
    return {
        "pool": paths.pool,
        "task": [] if by == "pool" else manifest(paths.task(removals.task)),
        "scores": score_manifests([reference]) if by == "scores" else [],
        "ensemble": manifest(paths.image_ensemble(*first)) if by == "features" else [],
    }


def subset_flags(wildcards):
    """The same as flags."""
    by = study.drawn_by(wildcards.distribution)
    first, reference = (
        scored_ensembles(study.config.reference)[0],
        study.config.reference,
    )
    holdout = "" if by == "pool" else paths.task(removals.task)
    return " ".join(
        [
            f"--holdout {holdout}/holdout/manifest.json" if holdout else "",
            f"--task {removals.task}" if by == "scores" else "",
            score_folders([reference]) if by == "scores" else "",
            f"--ensemble {paths.image_ensemble(*first)}" if by == "features" else "",
        ]
    )


def ensemble_priority(wildcards):
    """Wide models start before narrow ones, and what others wait for before all."""
    early = wildcards.distribution == attribution.trak.distribution
    return round(study.scales[wildcards.scale].forward_flops ** 0.5) + 500_000 * early
