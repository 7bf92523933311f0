"""The verbs that read tidy tables, whoever trained the models: one per rule."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from proxyscale.base.verbs import Arguments, listed, pairs, verb
from proxyscale.cli.job_messages import rows_line


@verb("results", "spec", "losses", "runs")
def collect(args: Arguments) -> str:
    """Gather all runs in two tables."""
    from proxyscale.statistics.collect import collect

    collect(Path(args.losses), Path(args.runs), json.loads(args.spec), args.results)
    return rows_line(Path(args.losses), "losses")


@verb("pool", "distribution=", "out")
def mixtures(args: Arguments) -> str:
    """Each distribution's share of every source."""
    from proxyscale.selection.composition import write_mixtures

    distributions = pairs(args.distribution)
    write_mixtures(Path(args.out), Path(args.pool), distributions)
    return f"{len(distributions)} distributions"


@verb("table=", "spec", "losses", "runs", "checkpoints", "reading")
def own_runs(args: Arguments) -> str:
    """Read runs that somebody trained into the same two tables."""
    from proxyscale.base import artifacts
    from proxyscale.tables.runs import read_outside_runs

    files: dict[str, list[str]] = {}
    for scale, _, path in (entry.partition("=") for entry in args.table):
        files.setdefault(scale, []).append(path)
    found = read_outside_runs(files, json.loads(args.spec))
    artifacts.write(args.losses, found.losses, "losses")
    artifacts.write(args.runs, found.runs, "runs")
    artifacts.write(args.checkpoints, found.checkpoints, "checkpoints")
    artifacts.write_json(args.reading, {"notes": found.notes})
    print("\n".join(found.notes), file=sys.stderr)
    return f"{len(found.losses):,} losses of {len(found.runs):,} runs"


@verb("results", "spec", "losses", "runs", "checkpoints", "reading", "table")
def collect_models(args: Arguments) -> str:
    """Gather the losses of all models in the same two tables."""
    from proxyscale.base import artifacts
    from proxyscale.base.paths import Paths
    from proxyscale.tables.measured_models import FACTS, read_measured, told_models

    spec, paths = json.loads(args.spec), Paths(args.results)
    models = [dict(zip(FACTS, facts, strict=True)) for facts in spec["models"]]
    for one in models:
        name = f"{one['seed']}@{one['step']}"
        one["folder"] = paths.model(one["scale"], one["recipe"], name)
    found = read_measured(models, spec)
    artifacts.write(args.losses, found.losses, "losses")
    artifacts.write(args.runs, found.runs, "runs")
    artifacts.write(args.checkpoints, found.checkpoints, "checkpoints")
    artifacts.write_rows(Path(args.table), told_models(models))
    artifacts.write_json(args.reading, {"notes": found.notes})
    print("\n".join(found.notes), file=sys.stderr)
    return f"{len(found.losses):,} losses of {len(found.runs):,} models"


@verb("results", "losses", "runs", "spec", "out")
def gains(args: Arguments) -> None:
    """What selecting data through each proxy gains over random subsets."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.selection_gains import gains

    losses, runs = artifacts.read(args.losses, "losses"), artifacts.read(args.runs, "runs")
    rows = gains(losses, runs, json.loads(args.spec), Path(args.results))
    artifacts.write_csv(Path(args.out), rows)


@verb("results", "spec", "out")
def checkpoints(args: Arguments) -> str:
    """Gather what all runs lost on their way."""
    from proxyscale.statistics.collect import collect_checkpoints

    collect_checkpoints(Path(args.out), json.loads(args.spec), args.results)
    return rows_line(Path(args.out), "losses")


@verb("losses", "runs", "weights?", "rivals=", "checkpoints?", "task=", "spec", "out")
def statistics(args: Arguments) -> str:
    """How well each scale foretells the reference."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.all_statistics import every_statistic
    from proxyscale.statistics.besides import Besides
    from proxyscale.statistics.metrics import length_of

    losses, runs = artifacts.batches(args.losses, "losses"), artifacts.read(args.runs, "runs")
    spec, besides, weights = json.loads(args.spec), Besides(), None
    if args.weights:
        from proxyscale.tables.weights import read_weights

        weights = read_weights(args.weights, **spec["weights"]).shares
    if args.rivals:
        mine = (artifacts.read(p, k) for p, k in zip(args.rivals, ("losses", "runs"), strict=True))
        besides = besides._replace(rivals=tuple(mine))
    if args.checkpoints:
        besides = besides._replace(checkpoints=artifacts.read(args.checkpoints, "checkpoints"))
    lengths = {name: length_of(folder) for name, folder in pairs(args.task).items()}
    found = every_statistic(losses, runs, spec, weights, besides, lengths)
    artifacts.write(args.out, found, "statistics")
    return f"{len(found):,} numbers"


@verb("pool", "distribution=", "out")
def composition(args: Arguments) -> str:
    """What the distributions are made of."""
    from proxyscale.base import artifacts
    from proxyscale.selection.composition import composition

    rows = composition(Path(args.pool), pairs(args.distribution))
    artifacts.write_rows(Path(args.out), rows)
    return f"{len(rows):,} distributions"


@verb("losses", "runs", "spec", "out")
def effects(args: Arguments) -> str:
    """Whether selected distributions help their tasks."""
    from proxyscale.base import artifacts
    from proxyscale.statistics.effects import effects

    losses, runs = artifacts.read(args.losses, "losses"), artifacts.read(args.runs, "runs")
    rows = effects(losses, runs, **json.loads(args.spec))
    artifacts.write_rows(Path(args.out), rows)
    return f"{len(rows):,} effects"


@verb("features=", "task=", "pool", "tokenizer", "spec", "agreement", "influence")
def compare_scores(args: Arguments) -> str:
    """Hold the scores of all scales side by side."""
    from proxyscale.attribution.agreement import compare

    models: dict[str, list[Path]] = {}
    for name, place in pairs(args.features).items():
        models.setdefault(name.rpartition(":")[0], []).append(place)
    compare(
        Path(args.agreement),
        Path(args.influence),
        models,
        pairs(args.task),
        Path(args.pool),
        Path(args.tokenizer),
        json.loads(args.spec),
    )
    return f"{len(args.task)} tasks, {len(models)} scales"


@verb(
    *("module?", "plugin=", "statistics?", "losses?", "runs?", "agreement?", "influence?"),
    *("gains?", "curves?", "asked=", "pool?", "task=", "scores=", "proposal?", "spec", "out"),
)
def figure(args: Arguments) -> str:
    """Draw one figure as PDF and SVG, with its numbers as CSV."""
    from proxyscale.base import artifacts
    from proxyscale.figures.draw import draw
    from proxyscale.figures.figure_data import read_curves
    from proxyscale.registry import load_plugins

    load_plugins(args.plugin)
    if args.module:
        import_module(f"proxyscale.{args.module}")  # it registers the figure
    spec, given = json.loads(args.spec), dict[str, Any]()
    for kind in ("statistics", "losses", "runs", "agreement", "influence"):
        if path := getattr(args, kind):
            given[kind] = artifacts.read(path, kind)
    if args.gains:
        given["gains"] = artifacts.read_csv(Path(args.gains))
    if args.proposal:
        given["proposal"] = artifacts.read_json(Path(args.proposal))
    if args.curves:
        given["curves"] = read_curves(given["runs"], args.curves)
    asked = pairs(args.asked).items()
    given["asked"] = {name: artifacts.read(f / "holdout.parquet", "task") for name, f in asked}
    if args.pool:
        given["pool"] = Path(args.pool)
    given |= {"tasks": pairs(args.task), "scores": listed(args.scores)}
    draw(spec.pop("figure"), args.out, **given, **spec)
    return Path(args.out).name


@verb("runs", "pool", "features=", "spec", "out")
def table(args: Arguments) -> str:
    """Write one table of what scales are and cost, as CSV and as text."""
    from proxyscale.base import artifacts
    from proxyscale.figures.cost_tables import write_table

    rows = artifacts.read_json(args.pool)["rows"]
    spec, runs = json.loads(args.spec), artifacts.read(args.runs, "runs")
    logs = [(scale, Path(log)) for scale, _, log in (f.partition("=") for f in args.features)]
    write_table(Path(args.out), spec, runs, pool_rows=rows, features=logs)
    return Path(args.out).stem


@verb(
    *("statistics", "losses", "runs", "pool?", "reading?"),
    *("task=", "table=", "picture=", "decided=", "spec", "out"),
)
def report(args: Arguments) -> None:
    """Write the report: one file with the answer, what to train on, figures and tables."""
    from proxyscale.base import artifacts
    from proxyscale.reporting.report import write_report

    write_report(
        Path(args.out),
        json.loads(args.spec),
        statistics=artifacts.read(args.statistics, "statistics"),
        losses=artifacts.read(args.losses, "losses"),
        runs=artifacts.read(args.runs, "runs"),
        pool=Path(args.pool) if args.pool else None,
        tasks=pairs(args.task),
        tables=pairs(args.table),
        pictures=pairs(args.picture),
        notes=artifacts.read_json(args.reading)["notes"] if args.reading else [],
        decided=[artifacts.read_json(Path(path)) for path in args.decided],
    )
