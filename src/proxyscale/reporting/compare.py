"""One command for runs that are there already: tables, statistics, figures and words at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from proxyscale.base import artifacts, repair
from proxyscale.base.errors import UserError
from proxyscale.base.paths import NAME, Paths
from proxyscale.base.progress import aligned
from proxyscale.figures.draw import draw_all
from proxyscale.figures.figure_data import evenly
from proxyscale.figures.signed_r2 import squared
from proxyscale.registry import figure
from proxyscale.reporting.closing_words import ending
from proxyscale.reporting.report import write_report
from proxyscale.statistics.all_statistics import every_statistic
from proxyscale.statistics.grid import Grid
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.partners import partners_told, ties_told
from proxyscale.study.own_runs_study import OwnRunsStudy
from proxyscale.study.study import READ
from proxyscale.tables.runs import read_outside_runs
from proxyscale.tables.sizes import amount
from proxyscale.tables.weights import read_weights

MOST_TASKS = 20  # in the table of the console
COSTS = ("parameters", "tokens", "flops")
ONE_COLUMN = ("scale", "seed", "task", "example", "step")
WITHOUT = "pearson_leave_one_out"
COLUMNS = {
    "r2": "R²",
    WITHOUT: "less one (most moved by)",
    "spearman": "Spearman",
    "kendall": "Kendall",
    "decision_accuracy": "decisions right",
}


def config_of(given: Sequence[str], said: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a command line stands for: `given` are tables, or scale=table of each.

    `said`: the options of the command by name; what is None or empty is left out. UserError if
    tables of both kinds are given.
    """
    named: dict[str, list[str]] = {}
    for entry in given:
        scale, parted, path = entry.partition("=")
        if parted and not Path(entry).exists():
            named.setdefault(scale, []).append(path)
    if not given or (named and sum(map(len, named.values())) < len(given)):
        raise UserError(
            "give tables of all runs, or tables for each scale",
            hint="table.csv, or 1M=a.csv 60M=b.csv",
        )
    tables: Any = {scale: paths[0] if len(paths) == 1 else paths for scale, paths in named.items()}
    tables = tables or (given[0] if len(given) == 1 else list(given))
    columns = {key: said[key] for key in ONE_COLUMN} | {"recipe": _parts(said["recipe"])}
    columns |= {what: entry for what in COSTS for entry in said[what] if "=" not in entry}
    direction = {glob: way for way in ("higher", "lower") for glob in said[way]}
    weights = {"table": said["weights"], "columns": said["weights_columns"]}
    only = _parts(said["scales"]) or []
    runs: dict[str, Any] = {
        "table": tables,
        "columns": {key: value for key, value in columns.items() if value},
        "direction": direction,
        "only_scales": [only] if isinstance(only, str) else only,
        "header": said["header"] and said["header"].split(","),
        "scales": _scales(said),
        "weights": {k: v for k, v in weights.items() if v} if said["weights"] else None,
        **{key: said[key] for key in ("metrics", "by", "ignore", "repeats", "pattern")},
        "tokens_per_parameter": said["tokens_per_parameter"],
    }
    if only and said["reference"] not in runs["only_scales"]:
        runs["only_scales"].append(said["reference"])
    top = {key: said[key] for key in ("reference", "trust") if said[key] is not None}
    results = said["results"] or "compared"
    return {
        "study": Path(results).name,
        "results": results,
        "runs": {key: value for key, value in runs.items() if value},
        **top,
    }


def _parts(text: str | None) -> str | list[str] | None:
    """`w1,w2` as a list; one name as it is."""
    return text.split(",") if text and "," in text else text


def _scales(said: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Parameters, tokens and FLOPs by scale; an entry without `=` names a column."""
    scales: dict[str, dict[str, float]] = {}
    for what in COSTS:
        for entry in (entry for entry in said[what] if "=" in entry):
            scale, _, number = entry.rpartition("=")
            value = amount(number)
            if np.isnan(value):
                hint = f"--{what} 60M=1e9, or a column's name"
                raise UserError(f"is {entry!r}", where=f"--{what}", hint=hint)
            scales.setdefault(scale, {})[what] = value
    return scales


def compare(raw: Mapping[str, Any]) -> None:
    """Read, correlate, draw and tell; everything is written to the folder `results`.

    The same files as by `snakemake --configfile {results}/study.yaml`, which is written too.
    UserError as from each of the steps.
    """
    study = OwnRunsStudy.load(raw)
    found = read_outside_runs(study.table_files, study.config.runs.model_dump())
    losses, runs = found.losses, found.runs
    words, notes, weights = study.words("statistics"), list(found.notes), None
    if study.weights:
        mixtures = read_weights(study.weights, **words["weights"])
        weights = mixtures.shares
        notes.append(mixtures.told())
    statistics = every_statistic(losses, runs, words, weights)
    study.claim_results()
    grid = read_grid(losses, runs)
    compute = bool(np.isfinite(grid.flops).all())
    by_example = any(len(ids) > 1 for ids in grid.examples.values())
    facts = study.facts._replace(compute=compute, examples=by_example, reads=READ)
    figures = figure.of(facts)
    with repair.replacing(study.config.results) as folder:
        paths = Paths(folder)
        with artifacts.atomic(Path(folder) / "study.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(dict(raw), sort_keys=False))
        artifacts.write_json(Path(folder) / NAME, {"study": study.config.study})
        artifacts.write(paths.losses, losses, "losses")
        artifacts.write(paths.runs, runs, "runs")
        artifacts.write(paths.checkpoints, found.checkpoints, "checkpoints")
        artifacts.write_json(paths.reading, {"notes": notes})
        artifacts.write(paths.statistics, statistics, "statistics")
        read = {"statistics": statistics, "losses": losses, "runs": runs}
        spec = {k: v for k, v in study.words("figure", "correlation_fig1").items() if k != "figure"}
        draw_all({name: paths.figure(name) for name in figures}, **read, **spec)
        write_report(Path(paths.report), study.words("report"), **read, notes=notes)
    made = [*study.made, *map(study.paths.figure, figures)]
    notes += repair.leave(study.config.results, made)
    lines = told(grid, study.config.reference, statistics, notes)
    print("\n".join([*lines, *mixtures_told(statistics)]))
    print(f"\n{ending(study)}")


def told(grid: Grid, reference: str, statistics: pa.Table, notes: Sequence[str] = ()) -> list[str]:
    """How the tables were read, what was compared, and the statistics, a line per task and proxy.

    Where there are many tasks, the lines are of some, evenly over their R², for each proxy.
    """
    counts = sorted({int(count) for count in grid.counts.ravel() if count})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    lines = [
        f"{len(grid.scales)} scales, {_recipes(grid)}, {len(grid.tasks)} "
        f"task{'s' * (len(grid.tasks) != 1)}, {seeds} run{'s' * (counts != [1])} of each recipe"
    ]
    rows, left = _rows(grid, statistics)
    more = f"({left} more task{'s' * (left != 1)} are in the report and in statistics.parquet)"
    table = aligned([["task", "proxy", "n", *COLUMNS.values()], *rows])
    return [
        *(f"note: {note}" for note in notes),
        *lines,
        *partners_told(grid, reference),
        *ties_told(statistics),
        "",
        *table,
        *([more] if left else []),
    ]


def _recipes(grid: Grid) -> str:
    """How many recipes the scales have."""
    there = [
        np.any([grid.has(task)[i] for task in grid.tasks], axis=0).sum()
        for i in range(len(grid.scales))
    ]
    if len(set(there)) == 1:
        return f"{there[0]} recipes at each"
    counts = ", ".join(f"{scale} {n}" for scale, n in zip(grid.scales, there, strict=True))
    return f"{len(grid.distributions)} recipes in all ({counts})"


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


def _rows(grid: Grid, statistics: pa.Table) -> tuple[list[list[str]], int]:
    """Cells of each task and proxy, value [low, high]; and how many tasks are left out."""
    chosen = pc.and_(
        pc.equal(statistics["level"], "distribution"), pc.equal(statistics["group"], "all")
    )
    chosen = pc.and_(chosen, pc.is_in(statistics["statistic"], pa.array([*COLUMNS, "pearson"])))
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    rows = statistics.filter(chosen).to_pylist()
    signed = [row for row in rows if row["statistic"] == "pearson" and row["value"] is not None]
    falling = {(row["task"], row["proxy"]) for row in signed if row["value"] < 0}
    for row in rows:
        if row["statistic"] not in COLUMNS:
            continue
        value, low, high = (row[key] for key in ("value", "low", "high"))
        text = "n/a" if value is None else f"{value:.3f} {_interval(low, high)}".rstrip()
        text += " r < 0" * (row["statistic"] == "r2" and (row["task"], row["proxy"]) in falling)
        text = _less_one(row) if row["statistic"] == WITHOUT else text
        cell = cells.setdefault((row["task"], row["proxy"]), {"n": str(row["n"])})
        cell[row["statistic"]] = text
        if row["statistic"] == "r2":
            cell["order"] = -1.0 if value is None else value
    cells = {key: cell for key, cell in cells.items() if "r2" in cell}
    tasks = [task for task in grid.tasks if any(t == task for t, _ in cells)]
    shown = tasks
    if len(tasks) > MOST_TASKS:
        mean = {
            t: float(np.mean([c["order"] for (u, _), c in cells.items() if u == t])) for t in tasks
        }
        some = evenly(mean, MOST_TASKS)
        shown = [task for task in tasks if task in some]
    found = [
        [task, proxy, cells[task, proxy]["n"], *(cells[task, proxy].get(c, "") for c in COLUMNS)]
        for task in shown
        for proxy in grid.scales
        if (task, proxy) in cells
    ]
    return found, len(tasks) - len(shown)


def _less_one(row: Mapping[str, Any]) -> str:
    """R² with the sign of r where any one recipe is left out, and the recipe that moves r most."""
    if row["low"] is None:
        return ""
    least, most = (squared(r) for r in (row["low"], row["high"]))
    return f"{least:z.3f} to {most:z.3f} ({row['named']})"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
