# What rules read and say, where it takes more than a line.
from functools import cache
from glob import glob


def scoring_features(wildcards, part):
    """The features of the pool or of a task that scores are made of, by every model."""
    runs = study.models(wildcards.scale, wildcards.distribution)
    folders = [paths.features(*run, wildcards.candidates) for run in runs]
    return [manifest(inside(folder, part)) for folder in folders]


def compared_features():
    """(scale:number, folder of features) of every model whose scores are held side by side."""
    return [
        (f"{scale}:{number}", paths.features(*run, study.sample))
        for scale, runs in study.side_by_side.items()
        for number, run in enumerate(runs)
    ]


def documents(sources):
    """The text of sources, which their manifests vouch for."""
    return ancient([inside(paths.corpus(s), "documents.parquet") for s in sources])


# The tables of a task's items, which their manifest vouches for.
ITEM_WORDS = ["holdout.words.parquet", "target.words.parquet"]
ITEM_TABLES = ["holdout.parquet", "target.parquet", *ITEM_WORDS]


def figure_input(kind, root):
    """The files of one kind that figures read, and the flags that name them."""
    if kind in FIGURE_TABLES:
        file = FIGURE_TABLES[kind]
        return [file], files_flags(kind, [root + file])
    if kind == "asked":
        tasks = [(task, paths.task(task)) for task in study.config.tasks]
        return holdouts(study.config.tasks), flags("asked", tasks, root)
    if kind == "curves":
        files = [f"{paths.run(*run)}/curve.parquet" for run in study.runs]
        return files, files_flags("curves", [root + paths.results])
    if kind == "images":
        return [paths.pool, *task_manifests], f"--pool {paths.pool} {task_flags}"
    if kind == "scores":
        return score_manifests(study.scales), score_folders(study.scales)
    raise ValueError(f"no figure can read {kind!r}")


def figure_reads(wildcards, root=""):
    """The files that a figure reads, and their flags."""
    reads = registry.figure[wildcards.figure].reads
    found = [figure_input(kind, root) for kind in reads]
    return [f for files, _ in found for f in files], " ".join(told for _, told in found)


def figure_root(wildcards, found):
    """What stands before the study's paths in a figure's job, one of whose files was found."""
    return storage_root(found, str(figure_reads(wildcards)[0][0]))


def seen(wildcards):
    """What a distribution's method needs: target examples, scores or losses of the candidates."""
    entry = study.config.distributions[wildcards.distribution]
    targeted = "target" in registry.selection.needs(entry.method).reads
    target = inside(paths.task(entry.task), "target.parquet")
    scored = study.scoring(wildcards.distribution)
    scores = paths.scores(*scored) if scored else ""
    measured = study.scoring(wildcards.distribution, "losses")
    return {
        "target": [target] if targeted else [],
        "scores": [scores, scores.replace(".parquet", ".json")] if scored else [],
        "losses": [paths.candidate_losses(*measured[:3])] if measured else [],
    }


@cache
def first_runs():
    """A run of every scale that waits for no scores, the cheapest scale's first: their priorities.

    So a mistake in a small scale is told before the dear ones are paid.
    """
    found = {}
    for run in study.trained:
        waits = (study.scoring(run.distribution, n) for n in ("scores", "losses"))
        if run.scale not in found and not any(waits):
            found[run.scale] = run
    scales = [scale for scale in study.scales if scale in found]
    return {found[scale]: 600_000 - rank for rank, scale in enumerate(scales)}


def priority_of(wildcards):
    """One run of every scale comes first, then what selection waits for, then the longest."""
    number = int(wildcards.draw), int(wildcards.seed)
    run = Run(wildcards.scale, wildcards.distribution, *number)
    if run in first_runs():
        return first_runs()[run]
    if run in study.scoring_runs:
        return 500_000
    cheapest = next(iter(study.scales.values())).flops
    return round(100 * study.scales[wildcards.scale].flops / cheapest)


def kept_weights(folder):
    """The file of the weights that a run keeps on its way, by name, if it keeps any."""
    file = inside(folder, "kept.safetensors")
    return {"checkpoints": file} if study.config.checkpoints else {}


def title(figure):
    """A figure's title: Figure 8, selection; proposed mixture."""
    name, _, number = figure.replace("_", " ").partition(" fig")
    return f"Figure {number}, {name}" if number else name


def titled(path, wanted=None):
    """A table as `snakemake --report` shows it, under a title of its own."""

    def labels(wildcards):
        name = wanted or wildcards.table
        number = name.removeprefix("tab")
        return {"table": f"Table {number}" if number.isdigit() else name}

    caption = "../workflow/report/table.rst"
    return report(path, caption=caption, category="Tables", labels=labels)


ASSETS = f"{PACKAGE}/reporting/assets"
REPORT_FILES = sorted(glob(f"{ASSETS}/*.*") + glob(f"{ASSETS}/*/*.*"))


def report_flags(name, files, found):
    """`--name key=path` of files that the report shows, where a job finds the losses at `found`."""
    return flags(name, files.items(), storage_root(found, paths.losses))
