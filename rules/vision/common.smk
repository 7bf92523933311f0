# What the rules of image models share.
attribution = study.config.attribution
rows = ("inputs.npy", "index.parquet")
task_flags = flags("task", [(name, paths.task(name)) for name in study.config.tasks])
task_manifests = [manifest(paths.task(name)) for name in study.config.tasks]


wildcard_constraints:
    pack=r"\d+-\d+",


def scored_packs(scale):
    """Folders of the packs that TRAK reads at a scale."""
    name = attribution.trak.distribution
    return [(scale, name, pack) for pack in study.packs(name)]


def score_folders(scales):
    """`scale=folder` of every pack of scores."""
    return flags(
        "scores",
        [(s, paths.image_scores(*ref)) for s in scales for ref in scored_packs(s)],
    )


def score_manifests(scales):
    return [
        manifest(paths.image_scores(*ref)) for s in scales for ref in scored_packs(s)
    ]
