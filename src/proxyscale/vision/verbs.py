"""The verbs of studies of image models, one per rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxyscale.base import artifacts
from proxyscale.base.verbs import Arguments, listed, pairs, verb


def counted(out: Path, kept: Mapping[str, int]) -> str:
    """What a job kept and what it dropped, by reason."""
    dropped = artifacts.read_json(out / "manifest.json")["dropped"]
    told = [f"{count:,} {name}" for name, count in kept.items()]
    lost = [f"{count:,} {reason}" for reason, count in dropped.items() if count]
    return ", ".join(told) + (f" · dropped: {', '.join(lost)}" if lost else "")


@verb("plugin=", "source", "spec", "out")
def image_corpus(args: Arguments) -> str:
    """Read a source's images and split them."""
    from proxyscale.registry import load_plugins
    from proxyscale.vision.corpora import build_images

    load_plugins(args.plugin)
    out = Path(args.out)
    build_images(out, args.source, json.loads(args.spec))
    facts = artifacts.read_json(out / "manifest.json")
    kept = {"images": sum(facts["images"].values()), "classes": len(facts["classes"])}
    return f"{args.source} · {counted(out, kept)}"


@verb("corpus", "spec", "out")
def image_pool(args: Arguments) -> None:
    """Choose the candidate images."""
    from proxyscale.vision.pool import build_image_pool

    build_image_pool(Path(args.out), Path(args.corpus), json.loads(args.spec))


@verb("corpus", "pool", "spec", "out")
def image_task(args: Arguments) -> str:
    """Choose a test set's images."""
    from proxyscale.vision.pool import build_image_task

    out = Path(args.out)
    build_image_task(out, Path(args.corpus), Path(args.pool), json.loads(args.spec))
    kept = artifacts.read_json(out / "manifest.json")["examples"]
    return f"{out.name} · {counted(out, kept)}"


@verb("pool", "holdout?", "scores=", "task?", "spec", "out")
def subsets(args: Arguments) -> None:
    """Draw the training distributions of an ensemble: by chance, by classes, by scores."""
    from proxyscale.vision.score_matrices import Scores
    from proxyscale.vision.subsets import build_subsets

    known: dict[str, Any] = {}
    if args.scores:
        folders = [folder for parts in listed(args.scores).values() for folder in parts]
        known["influence"] = Scores.open(folders, args.task, False).mean()
    holdout = Path(args.holdout) if args.holdout else None
    build_subsets(Path(args.out), json.loads(args.spec), Path(args.pool), holdout=holdout, **known)


@verb("pool", "holdout", "ensemble", "spec", "out")
def similar_subsets(args: Arguments) -> None:
    """Draw the training distributions of an ensemble by what models take for alike."""
    from proxyscale.vision.features import likeness
    from proxyscale.vision.subsets import build_subsets

    paths = Path(args.pool), Path(args.holdout)
    alike = likeness(Path(args.ensemble), *paths)
    build_subsets(Path(args.out), json.loads(args.spec), paths[0], holdout=paths[1], likeness=alike)


@verb("pool", "distribution", "title", "spec", "out")
def train_ensemble(args: Arguments) -> None:
    """Train the image models of an ensemble."""
    from proxyscale.vision.ensembles import train_ensemble

    spec = json.loads(args.spec)
    runs = [tuple(run) for run in spec.pop("runs")]
    train_ensemble(Path(args.out), spec, Path(args.pool), Path(args.distribution), runs, args.title)


@verb("ensemble", "task", "folder", "scale", "distribution", "out")
def evaluate_ensemble(args: Arguments) -> None:
    """Take the losses and margins of an ensemble's models on a test set."""
    from proxyscale.vision.evaluate import evaluate_ensemble

    tasks = {args.task: Path(args.folder)}
    names = {"scale": args.scale, "distribution": args.distribution}
    evaluate_ensemble(Path(args.out), Path(args.ensemble), tasks, **names)


@verb("pool", "ensemble", "task=", "title", "spec", "out")
def score_ensemble(args: Arguments) -> None:
    """Attribute every test image to the pool through an ensemble's models (TRAK)."""
    from proxyscale.vision.trak_scores import score_ensemble

    paths = Path(args.out), Path(args.ensemble), Path(args.pool), pairs(args.task)
    score_ensemble(*paths, json.loads(args.spec), title=args.title)


@verb("pool", "subsets=", "losses=", "spec", "out")
def datamodels(args: Arguments) -> None:
    """Regress outputs on the subsets that were trained on (datamodels)."""
    from proxyscale.vision.regression_datamodels import fit

    files = [path for paths in listed(args.subsets).values() for path in paths]
    fit(Path(args.out), json.loads(args.spec), Path(args.pool), files, listed(args.losses))


@verb("results", "spec", "losses", "runs")
def collect_ensembles(args: Arguments) -> None:
    """Gather all ensembles in two tables."""
    from proxyscale.vision.collect import collect_ensembles

    collect_ensembles(Path(args.losses), Path(args.runs), json.loads(args.spec), args.results)


@verb("losses", "runs", "pool", "task=", "truth=", "scores=", "datamodels=", "spec", "out")
def image_statistics(args: Arguments) -> None:
    """How well the scores of each width foretell the reference."""
    from proxyscale.vision.statistics import Inputs, summarize_images

    inputs = Inputs(
        losses=artifacts.read(args.losses, "losses"),
        runs=artifacts.read(args.runs, "runs"),
        pool=Path(args.pool),
        tasks=pairs(args.task),
        truth=list(pairs(args.truth).values()),
        scores=listed(args.scores),
        datamodels=pairs(args.datamodels),
    )
    artifacts.write(args.out, summarize_images(inputs, json.loads(args.spec)), "statistics")


@verb("spec", "out")
def image_table(args: Arguments) -> None:
    """Write a table of architectures or hyperparameters."""
    from proxyscale.vision.tables import write_table

    write_table(Path(args.out), json.loads(args.spec))
