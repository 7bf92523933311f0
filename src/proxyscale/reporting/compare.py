"""One command for runs that are there already: tables, statistics, figures and words at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.progress import aligned
from proxyscale.figures.draw import draw
from proxyscale.registry import figure
from proxyscale.reporting.closing_words import ending
from proxyscale.reporting.report import write_report
from proxyscale.statistics.all_statistics import every_statistic
from proxyscale.statistics.grid import Grid, read_grid
from proxyscale.statistics.loss_tables import read_own_runs, unpaired
from proxyscale.study.own_runs_study import OwnRunsStudy

SHOWN = 20  # names of unpaired recipes
COLUMNS = {
    "r2": "R²",
    "spearman": "Spearman",
    "kendall": "Kendall",
    "decision_accuracy": "decisions right",
}


def config_of(given: Sequence[str], said: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a command line stands for: `given` is one table, or scale=table of each.

    `said`: reference, results, trust, metrics, higher (globs), tokens_per_parameter, weights,
    parameters and tokens ("1M=1e6", …), and names of columns; what is None or empty is left out.
    UserError if tables of both kinds are given.
    """
    named = dict(entry.split("=", 1) for entry in given if "=" in entry)
    if not given or (named and len(named) < len(given)) or (not named and len(given) > 1):
        raise UserError(
            "give one table of all runs, or one table for each scale",
            hint="table.csv, or 1M=a.csv 60M=b.csv",
        )
    columns = {key: said[key] for key in ("recipe", "scale", "seed", "task", "example")}
    runs = {
        "table": named or given[0],
        "columns": {key: value for key, value in columns.items() if value},
        "metrics": said["metrics"],
        "direction": dict.fromkeys(said["higher"], "higher"),
        "scales": _scales(said),
        "tokens_per_parameter": said["tokens_per_parameter"],
        "weights": {"table": said["weights"]} if said["weights"] else None,
    }
    top = {key: said[key] for key in ("reference", "trust") if said[key] is not None}
    results = said["results"] or "compared"
    return {
        "study": Path(results).name,
        "results": results,
        "runs": {key: value for key, value in runs.items() if value},
        **top,
    }


def _scales(said: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Parameters and tokens by scale."""
    scales: dict[str, dict[str, float]] = {}
    for what in ("parameters", "tokens"):
        for entry in said[what]:
            scale, _, number = entry.partition("=")
            try:
                scales.setdefault(scale, {})[what] = float(number)
            except ValueError:
                hint = f"--{what} 60M=1e9"
                raise UserError(f"is {entry!r}", where=f"--{what}", hint=hint) from None
    return scales


def compare(raw: Mapping[str, Any]) -> None:
    """Read, correlate, draw and tell; everything is written to the folder `results`.

    The same files as by `snakemake --configfile {results}/study.yaml`, which is written too.
    UserError as from each of the steps.
    """
    study = OwnRunsStudy.load(raw)
    paths = study.paths
    losses, runs = read_own_runs(study.table_files, study.config.runs.model_dump())
    statistics = every_statistic(losses, runs, study.words("statistics"), study.weights)
    study.claim_results(write=True)
    with artifacts.atomic(Path(study.config.results) / "study.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(dict(raw), sort_keys=False))
    artifacts.write(paths.losses, losses, "losses")
    artifacts.write(paths.runs, runs, "runs")
    artifacts.write(paths.statistics, statistics, "statistics")
    grid = read_grid(losses, runs)
    compute = bool(np.isfinite(grid.flops).all())
    by_example = any(len(ids) > 1 for ids in grid.examples.values())
    read = {"statistics": statistics, "losses": losses, "runs": runs}
    for name in figure.of(study.facts._replace(compute=compute, examples=by_example)):
        spec = {k: v for k, v in study.words("figure", name).items() if k != "figure"}
        draw(name, paths.figure(name), **read, **spec)
    write_report(Path(paths.report), study.words("report"), **read)
    print("\n".join([*told(grid, runs, statistics), *mixtures_told(statistics)]))
    print(f"\n{ending(study)}")


def told(grid: Grid, runs: pa.Table, statistics: pa.Table) -> list[str]:
    """What was compared, what has no partner, and the statistics, a line per task and proxy."""
    counts = sorted({int(count) for count in grid.counts.ravel()})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    lines = [
        f"{len(grid.scales)} scales, {len(grid.distributions)} recipes at each, "
        f"{len(grid.tasks)} tasks, {seeds} run{'s' * (counts != [1])} of each recipe"
    ]
    for scale, names in unpaired(runs).items():
        more = ", …" if len(names) > SHOWN else ""
        lines.append(
            f"without a partner, left out: {len(names)} of {scale}: "
            f"{', '.join(names[:SHOWN])}{more}"
        )
    return [*lines, "", *aligned([["task", "proxy", *COLUMNS.values()], *_rows(statistics)])]


def mixtures_told(statistics: pa.Table) -> list[str]:
    """Whether the best mixture that a proxy's regression predicts is the reference's, if known."""
    chosen = pc.equal(statistics["statistic"], "mixture_linear_regret")
    lost: dict[str, list[float]] = {}
    for row in statistics.filter(chosen).to_pylist():
        lost.setdefault(row["proxy"], []).append(row["value"])
    return [
        f"a linear regression on the weights of {proxy}'s mixtures finds the reference's best "
        f"mixture on {values.count(0.0)} of {len(values)} tasks, and loses at most "
        f"{max(values):.3g} on the others"
        for proxy, values in lost.items()
    ]


def _rows(statistics: pa.Table) -> list[list[str]]:
    """Cells of each task and proxy: value [low, high]."""
    chosen = pc.and_(
        pc.equal(statistics["level"], "distribution"), pc.equal(statistics["group"], "all")
    )
    cells: dict[tuple[str, str], dict[str, str]] = {}
    rows = statistics.filter(chosen).to_pylist()
    signed = [row for row in rows if row["statistic"] == "pearson" and row["value"] is not None]
    falling = {(row["task"], row["proxy"]) for row in signed if row["value"] < 0}
    for row in rows:
        if row["statistic"] in COLUMNS:
            value, low, high = (row[key] for key in ("value", "low", "high"))
            text = "n/a" if value is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
            key = row["task"], row["proxy"]
            falls = " r < 0" * (row["statistic"] == "r2" and key in falling)
            cells.setdefault(key, {})[row["statistic"]] = text + falls
    return [
        [*key, *(found.get(name, "") for name in COLUMNS)]
        for key, found in cells.items()
        if "r2" in found
    ]
