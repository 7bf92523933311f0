"""What the report shows, as plain values: read from the tidy tables and, where there are, from the
manifests of the pool and the tasks."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.tables import where
from proxyscale.data.accounts import dropped_told, prior_told
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.selection_gains import method_marks
from proxyscale.figures.style import COLORS, PREDICTORS, Mark, Style, marks, predictor_marks
from proxyscale.figures.text_layout import left_out, unread
from proxyscale.statistics.grid import Array
from proxyscale.statistics.guesses import guesses
from proxyscale.statistics.objective import NAME
from proxyscale.statistics.partners import partners_told, ties_told

EXAMPLES = 150  # of each task, evenly over the ranks of their R², so that the file stays small
SHOWN_TEXT = 2000  # characters of an example
SHOWN_COUNTS = (
    *("records", "items", "kept", "in_pool", "short_in_pool", "context_in_pool", "in_holdout"),
    *("duplicates", "cut", "lost"),
)


def figures_data(data: FigureData) -> dict[str, Any]:
    """Everything that is drawn: names and marks, losses of every run, statistics, examples."""
    grid = data.grid
    known = set(data.statistics["task"].unique().to_pylist())
    looks = {**predictor_marks(), **data.task_marks, **data.marks}
    names = [*grid.scales, *grid.tasks, *grid.distributions]
    return {
        "proxies": data.proxies,
        "rivals": list(data.beside("rival")),
        "checkpoints": {n: _number(ratio, 9) for n, ratio in data.beside("checkpoint").items()},
        "proxy": data.proxy,
        "variants": grid.variants,
        "looks": {name: _look(mark) for name, mark in looks.items()},
        "kinds": PREDICTORS,
        "ratios": {name: _number(ratio, 9) for name, ratio in data.ratios.items()},
        "labels": {name: data.style.label(name) for name in names},
        "drawn": data.drawn,
        "tasks": [{"name": task, "better": grid.better[task]} for task in data.tasks],
        "objective": NAME if NAME in known else None,
        "distributions": grid.distributions,
        "losses": {
            task: {
                scale: [_rounded(data.runs_of(scale, name, task)) for name in grid.distributions]
                for scale in grid.scales
            }
            for task in data.tasks
        },
    }


def methods_data(data: FigureData, gains: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """How each method of selection looks in rows of `gains`."""
    return {name: _look(mark) for name, mark in method_marks(gains, data).items()}


def shapes() -> list[dict[str, Any]]:
    """Every mark of the palette, for what has no name of its own."""
    return [_look(mark) for mark in marks(list(map(str, range(len(COLORS)))), Style()).values()]


def _look(mark: Mark) -> dict[str, Any]:
    """A mark as the page draws it: the places of its colour and of its dashes, its shape."""
    return {
        "color": mark.place,
        "marker": mark.marker,
        "filled": mark.filled,
        "dash": mark.line,
    }


def _number(value: float | None, digits: int = 5) -> float | None:
    """A number that JSON can hold, to so many significant digits."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _rounded(values: Array) -> list[float | None]:
    return [_number(float(value)) for value in values]


def statistics_data(statistics: pa.Table, reference: str) -> list[list[Any]]:
    """Rows of [statistic, group, task, proxy, value, low, high, ceiling, n, named, unit]."""
    table = where(statistics, reference=reference)
    level = pc.is_in(table["level"], pa.array(["distribution", "rival", "checkpoint"]))
    table = table.filter(pc.or_(level, pc.equal(table["statistic"], "best_metric")))
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
        known = {proxy: _signed_r2(data, proxy, task) for proxy in data.proxies}
        sizes = {i: abs(r2) for i, r2 in known[data.proxy].items() if not math.isnan(r2)}
        ranked = sorted(sizes, key=sizes.__getitem__)
        if not ranked:
            continue
        places = np.unique(np.linspace(0, len(ranked) - 1, EXAMPLES).round().astype(int))
        chosen = [ranked[place] for place in places]
        sign = -1 if data.grid.better[task] == "higher" else 1
        means = sign * data.grid.example_means(task)[..., np.searchsorted(ids, chosen)]
        found[task] = {
            "ids": chosen,
            "of": len(ids),
            "median": {p: _middle(v.values()) for p, v in known.items()},
            "r2": {p: [_number(v.get(i), 3) for i in chosen] for p, v in known.items()},
            "losses": {
                scale: [_rounded_short(row) for row in means[data.grid.index(scale)]]
                for scale in data.grid.scales
            },
            "texts": _texts(tasks[task], chosen) if task in tasks else None,
        }
    return found


def _signed_r2(data: FigureData, proxy: str, task: str) -> dict[int, float]:
    """R² of each example with the sign of its correlation."""
    falls = set(data.falling(proxy, task).tolist())
    found = data.examples(proxy, task)
    return {i: -e.value if i in falls else e.value for i, e in found.items()}


def _middle(values: Iterable[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return _number(float(np.median(known))) if known else None


def _rounded_short(values: Array) -> list[float | None]:
    return [_number(float(value), 4) for value in values]


def _texts(folder: Path, chosen: list[int]) -> list[list[Any]]:
    """[prompt, scored text, how much of the prompt is left out] of each chosen example; the right
    one of several choices."""
    columns = ["example", "gold", "prompt", "prompt_starts", "scored_from", "continuation"]
    table = artifacts.read(folder / "holdout.parquet", "task", columns)
    rows = {row["example"]: row for row in table.to_pylist() if row["gold"]}
    return [_shown(rows[i]) if i in rows else ["", "", ""] for i in chosen]


def _shown(row: Mapping[str, Any]) -> list[Any]:
    prompt, starts, lost = row["prompt"], row["prompt_starts"], unread(row)
    cut = max(len(prompt) - SHOWN_TEXT, starts[lost] if lost else 0, 0)
    read = None if starts is None else [*starts[lost:], len(prompt)]
    told = left_out(cut, read, lost) if cut else ""
    return [prompt[cut:], row["continuation"][:SHOWN_TEXT], told]


def costs_data(runs: pa.Table, reference: str) -> list[dict[str, Any]]:
    """What every scale is and took, cheapest first: per run, and all its runs together."""
    rows = []
    for scale in runs["scale"].unique().to_pylist():
        mine = where(runs, scale=scale)
        seconds = mine["seconds"].drop_null().to_numpy()
        flops = mine["flops"].drop_null().to_numpy()
        rows.append(
            {
                "scale": scale,
                "parameters": _median(mine["parameters"]),
                "tokens": _median(mine["tokens"]),
                "flops": float(np.median(flops)) if len(flops) else None,
                "runs": len(mine),
                "seconds": _number(float(seconds.mean())) if len(seconds) else None,
                "total_seconds": _number(float(seconds.sum())) if len(seconds) else None,
            }
        )
    rows.sort(key=lambda row: row["flops"] or 0)
    whole = next(row["flops"] for row in rows if row["scale"] == reference)
    for row in rows:
        row["ratio"] = _number(whole / row["flops"], 9) if whole and row["flops"] else None
        row["flops"] = _number(row["flops"])
    return rows


def _median(column: pa.ChunkedArray) -> int | None:
    values = column.drop_null().to_numpy()
    return int(np.median(values)) if len(values) else None


def versions(runs: pa.Table) -> dict[str, str]:
    """What the runs were trained with."""
    found: dict[str, str] = {}
    for told in runs["versions"].drop_null().unique().to_pylist():
        found |= json.loads(told)
    return found


def runs_data(data: FigureData) -> dict[str, Any]:
    """Who meets whom, and how often a distribution is read over."""
    epochs: dict[str, float] = {}
    for row in data.runs.select(["distribution", "epochs"]).to_pylist():
        if row["epochs"] is not None:
            name = row["distribution"]
            epochs[name] = max(epochs.get(name, 0.0), row["epochs"])
    return {
        "partners": [*partners_told(data.grid, data.reference), *ties_told(data.statistics)],
        "epochs": {name: _number(value, 3) for name, value in epochs.items()},
    }


def _sorted_out(facts: Mapping[str, Any], split: str, named: bool) -> dict[str, str]:
    """Why items were dropped, and in which source they were found, in words."""
    dropped = facts.get("dropped", {}).get(split, {})
    found = facts.get("found_in", {}).get(split, {})
    first = facts.get("dropped_first", {}).get(split, {}) if named else {}
    return {
        "dropped": dropped_told(dropped, first),
        "found_in": ", ".join(f"{name} {n['items']:,}" for name, n in found.items() if n["items"]),
        "prior": prior_told(facts["prior"]) if facts.get("prior") else "",
    }


def guesses_data(data: FigureData, tasks: Mapping[str, Path]) -> list[dict[str, Any]]:
    """How often simple rules, and the models of each scale, are right on a test set.

    Shares of its examples, those of scales the mean of their runs; only of tasks that have right
    answers. `tasks` are folders of artifacts.
    """
    known = data.losses.filter(pc.is_valid(data.losses["correct"]))
    means = known.group_by(["task", "scale"]).aggregate([("correct", "mean")]).to_pylist()
    rows = []
    for task in (task for task in data.tasks if task in tasks):
        right = guesses(artifacts.read(tasks[task] / "holdout.parquet", "task"))
        if right:
            own = {row["scale"]: row["correct_mean"] for row in means if row["task"] == task}
            rows.append({"task": task, "rules": right, "scales": own})
    return rows


def _source_data(source: Mapping[str, Any], named: bool) -> dict[str, Any]:
    """A source's rows, and what became of its records."""
    account = source.get("account") or {}
    dropped = account.get("dropped") or {}
    read = account.get("read")
    return {
        "source": source["name"],
        "rows": source["rows"],
        "read": read,
        "kept": None if read is None else read - sum(dropped.values()),
        "dropped": dropped_told(dropped, account.get("dropped_first") or {} if named else {}),
    }


def material_data(
    pool: Path | None, tasks: Mapping[str, Path], *, named: bool = True
) -> dict[str, Any]:
    """Rows of the sources and what became of the tasks' records, overlap included.

    `named`: with the first record, by its file, that was dropped for each reason.
    """
    sources = artifacts.read_json(pool).get("sources", []) if pool else []
    counts = []
    for task, folder in tasks.items():
        facts = artifacts.read_json(folder / "manifest.json")
        for split, told in facts["counts"].items():
            row = {"task": task, "kind": facts["kind"], "split": split}
            row |= {name: told.get(name, 0) for name in SHOWN_COUNTS}
            counts.append(row | _sorted_out(facts, split, named))
    return {
        "sources": [_source_data(source, named) for source in sources],
        "tasks": counts,
    }
