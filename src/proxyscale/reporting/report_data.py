"""What the report shows, as plain values: read from the tidy tables and, where there are, from the
manifests of the pool and the tasks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.data.accounts import dropped_told, prior_told
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.style import COLORS, MARKERS
from proxyscale.statistics.grid import Array
from proxyscale.statistics.partners import partners_told
from proxyscale.statistics.regrets import MOST_COMPUTE
from proxyscale.statistics.trials import COMPUTE, DECISIONS, REGRET, Trial, Trust

EXAMPLES = 150  # of each task, evenly over the ranks of their R², so that the file stays small
SHOWN_TEXT = 2000  # characters of an example
SHOWN_COUNTS = (
    *("records", "items", "kept", "in_pool", "short_in_pool", "context_in_pool", "in_holdout"),
    *("duplicates", "cut", "lost"),
)


def figures_data(data: FigureData) -> dict[str, Any]:
    """Everything that is drawn: names and marks, losses of every run, statistics, examples."""
    grid = data.grid
    return {
        "reference": data.reference,
        "proxies": data.proxies,
        "proxy": data.proxy,
        "variants": grid.variants,
        "palette": COLORS,
        "shapes": MARKERS,
        "ratios": {name: _number(ratio, 9) for name, ratio in data.ratios.items()},
        "labels": {
            name: data.style.label(name)
            for name in [*grid.scales, *grid.tasks, *grid.distributions]
        },
        "drawn": data.drawn,
        "tasks": [{"name": task, "better": grid.better[task]} for task in data.tasks],
        "distributions": [
            {"name": name, "color": mark.color, "marker": mark.marker, "filled": mark.filled}
            for name, mark in data.marks.items()
        ],
        "losses": {
            task: {
                scale: [_rounded(data.runs_of(scale, name, task)) for name in grid.distributions]
                for scale in grid.scales
            }
            for task in data.tasks
        },
        "statistics": _statistics(data),
    }


def _number(value: float | None, digits: int = 5) -> float | None:
    """A number that JSON can hold, to so many significant digits."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _rounded(values: Array) -> list[float | None]:
    return [_number(float(value)) for value in values]


def _statistics(data: FigureData) -> list[list[Any]]:
    """Rows of [statistic, group, task, proxy, value, low, high, ceiling, n, named, unit]."""
    table = data.statistics
    table = table.filter(pc.equal(table["level"], "distribution"))
    table = table.filter(pc.equal(table["reference"], data.reference))
    words, numbers = ("statistic", "group", "task", "proxy"), ("value", "low", "high", "ceiling")
    return [
        [
            *(row[w] for w in words),
            *(_number(row[x], 4) for x in numbers),
            *(row["n"], row["named"], row["unit"]),
        ]
        for row in table.to_pylist()
    ]


def examples_data(data: FigureData, tasks: Mapping[str, Path]) -> dict[str, Any]:
    """Some examples of each task that has them: R² at every proxy, losses, texts where known.

    `tasks` are folders of artifacts. Losses are [scales][distributions][examples].
    """
    found = {}
    for task in data.tasks:
        ids = data.grid.examples[task]
        known = {
            proxy: {i: e.value for i, e in data.examples("r2", proxy, task).items()}
            for proxy in data.proxies
        }
        by_r2 = known[data.proxy]
        ranked = sorted((i for i in by_r2 if not math.isnan(by_r2[i])), key=by_r2.__getitem__)
        if not ranked:
            continue
        places = np.unique(np.linspace(0, len(ranked) - 1, EXAMPLES).round().astype(int))
        chosen = [ranked[place] for place in places]
        sign = -1 if data.grid.better[task] == "higher" else 1
        means = sign * data.grid.example_means(task)[..., np.searchsorted(ids, chosen)]
        found[task] = {
            "ids": chosen,
            "of": len(ids),
            "median": {p: _number(float(np.nanmedian(list(v.values())))) for p, v in known.items()},
            "r2": {p: [_number(values.get(i), 3) for i in chosen] for p, values in known.items()},
            "losses": {
                scale: [_rounded_short(row) for row in means[data.grid.index(scale)]]
                for scale in data.grid.scales
            },
            "texts": _texts(tasks[task], chosen) if task in tasks else None,
        }
    return found


def _rounded_short(values: Array) -> list[float | None]:
    return [_number(float(value), 4) for value in values]


def _texts(folder: Path, chosen: list[int]) -> list[list[str]]:
    """[prompt, scored text] of each chosen example; the right one of several choices."""
    table = artifacts.read(
        folder / "holdout.parquet", "task", ["example", "gold", "prompt", "continuation"]
    )
    rows = {row["example"]: row for row in table.to_pylist() if row["gold"]}
    return [
        [rows[i]["prompt"][-SHOWN_TEXT:], rows[i]["continuation"][:SHOWN_TEXT]]
        if i in rows
        else ["", ""]
        for i in chosen
    ]


def ladder(trials: Mapping[str, list[Trial]], trust: Trust) -> list[dict[str, Any]]:
    """Every task's scales, the largest first: what trust is in, its bound, whether that passes."""
    rows = []
    for task, scales in trials.items():
        cells = []
        for trial in scales:
            estimate, bound = (_amount(value, trust) for value in (trial.estimate, trial.bound))
            side = "above" if trust.kind == DECISIONS else "below"
            passed = trust.met(trial.bound)
            cells.append(
                {
                    "scale": trial.scale,
                    "told": estimate,
                    "bound": f"{side} {bound}",
                    "passed": bool(passed),
                }
            )
        rows.append({"task": task, "scales": cells})
    return rows


def _amount(value: float, trust: Trust) -> str:
    if math.isnan(value):
        return "n/a"
    if trust.kind == DECISIONS:
        return f"{value:.0%}"
    if trust.kind == COMPUTE:
        return f"> {MOST_COMPUTE:g}×" if value > MOST_COMPUTE else f"{value:.3g}×"
    return f"{value:.3g}"


def ladder_note(trust: Trust, confidence: float) -> str:
    """What the ladder shows."""
    what = {
        DECISIONS: f"Share of pairs of distributions that a scale orders as the reference does, a "
        f"tie counting one half. The level is {trust.level:.1%}",
        REGRET: "What the scale's pick of as many new recipes is expected to lose to the best, at "
        f"the reference. The level is {trust.level:.3g}",
        COMPUTE: "The compute that would make up for what the scale's pick of as many new recipes "
        f"is expected to lose. The level is {trust.level:.3g}×",
    }[trust.kind]
    return (
        f"{what}; below stands what is known with {confidence:.0%} confidence. Trusted (✓) is what "
        "is known to keep the level at this and at every larger scale."
    )


def costs_data(data: FigureData) -> list[dict[str, Any]]:
    """What every scale is and took: per run, and all its runs together."""
    rows = []
    for scale in data.grid.scales:
        mine = data.runs.filter(pc.equal(data.runs["scale"], scale))
        seconds = mine["seconds"].drop_null().to_numpy()
        flops = mine["flops"].drop_null().to_numpy()
        ratio = 1.0 if scale == data.reference else data.ratios.get(scale, math.nan)
        rows.append(
            {
                "scale": scale,
                "parameters": _median(mine["parameters"]),
                "tokens": _median(mine["tokens"]),
                "flops": _number(float(np.median(flops))) if len(flops) else None,
                "ratio": _number(ratio, 9),
                "runs": len(mine),
                "seconds": _number(float(seconds.mean())) if len(seconds) else None,
                "total_seconds": _number(float(seconds.sum())) if len(seconds) else None,
            }
        )
    return rows


def _median(column: pa.ChunkedArray) -> int | None:
    values = column.drop_null().to_numpy()
    return int(np.median(values)) if len(values) else None


def runs_data(data: FigureData) -> dict[str, Any]:
    """Where runs came from: who meets whom, epochs, the versions they were trained with."""
    epochs: dict[str, float] = {}
    for row in data.runs.select(["distribution", "epochs"]).to_pylist():
        if row["epochs"] is not None:
            name = row["distribution"]
            epochs[name] = max(epochs.get(name, 0.0), row["epochs"])
    versions = {"proxyscale": metadata.version("proxyscale")}
    for told in data.runs["versions"].drop_null().unique().to_pylist():
        versions |= json.loads(told)
    return {
        "partners": partners_told(data.grid, data.reference),
        "epochs": {name: _number(value, 3) for name, value in epochs.items()},
        "versions": versions,
    }


def _sorted_out(facts: Mapping[str, Any], split: str) -> dict[str, str]:
    """Why items were dropped, and in which source they were found, in words."""
    dropped = facts.get("dropped", {}).get(split, {})
    found = facts.get("found_in", {}).get(split, {})
    return {
        "dropped": dropped_told(dropped, facts.get("dropped_first", {}).get(split, {})),
        "found_in": ", ".join(f"{name} {n['items']:,}" for name, n in found.items() if n["items"]),
        "prior": prior_told(facts["prior"]) if facts.get("prior") else "",
    }


def _source_data(source: Mapping[str, Any]) -> dict[str, Any]:
    """A source's rows, and what became of its records."""
    account = source.get("account") or {}
    dropped = account.get("dropped") or {}
    read = account.get("read")
    return {
        "source": source["name"],
        "rows": source["rows"],
        "read": read,
        "kept": None if read is None else read - sum(dropped.values()),
        "dropped": dropped_told(dropped, account.get("dropped_first") or {}),
    }


def material_data(pool: Path | None, tasks: Mapping[str, Path]) -> dict[str, Any]:
    """Rows of the sources and what became of the tasks' records, overlap included."""
    sources = artifacts.read_json(pool)["sources"] if pool else []
    counts = []
    for task, folder in tasks.items():
        facts = artifacts.read_json(folder / "manifest.json")
        for split, told in facts["counts"].items():
            row = {"task": task, "kind": facts["kind"], "split": split}
            row |= {name: told.get(name, 0) for name in SHOWN_COUNTS}
            counts.append(row | _sorted_out(facts, split))
    return {
        "sources": [_source_data(source) for source in sources],
        "tasks": counts,
    }
