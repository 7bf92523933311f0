"""What selecting data through each proxy gains over random subsets of equal size (Figure 8).

One row for each selection and each task that it is measured on, always on the holdout. Seeds'
variance is pooled over the selections of one size; intervals are Student's t. Where the reference
is a proxy as well, a row tells how much of its own selection another's has, and how alike they
score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from proxyscale.base import artifacts
from proxyscale.base.tables import where
from proxyscale.statistics.guesses import best_guess

Rows = list[dict[str, Any]]
COLUMNS = (
    *("selected_for", "method", "proxy", "relative_compute", "fraction", "size", "epochs"),
    *("measured_on", "seeds", "loss", "loss_sd", "loss_low", "loss_high"),
    *("gain", "gain_low", "gain_high", "accuracy", "accuracy_low", "accuracy_high", "chance"),
    *("overlap_with_reference", "scores_spearman"),
)


class Measured(NamedTuple):
    """Means over the examples of one task, for every run of each selection: {name: [runs]}."""

    loss: dict[str, np.ndarray]
    accuracy: dict[str, np.ndarray]  # empty arrays for a task that has no right and wrong


class Pooled(NamedTuple):
    """The variance of one run, pooled over selections, and Student's t for the interval."""

    variance: float
    quantile: float

    def reach(self, *counts: int) -> float:
        """Half the interval of a mean of so many runs, or of the difference of two means."""
        return float(self.quantile * np.sqrt(self.variance * sum(1 / n for n in counts)))


def gains(losses: pa.Table, runs: pa.Table, spec: Mapping[str, Any], results: Path) -> Rows:
    """The rows, in the order of `spec["selected"]`.

    `spec`: selected (fields of `Selected`), reference, relative_compute {proxy: training FLOPs of
    one run over the reference's}, scores {selection: path below `results`}, confidence. Overlap is
    the share of examples that two selections of one size have in common.
    """
    alike = dict(_likeness(spec, results))
    rows: Rows = []
    for task in losses["task"].unique().to_pylist():
        measured = _measure(losses.filter(pc.equal(losses["task"], task)))
        guessed = {}
        if all(map(len, measured.accuracy.values())):
            asked = artifacts.read(results / "tasks" / task / "holdout.parquet", "task")
            guessed = {"chance": best_guess(asked)}
        for fraction in dict.fromkeys(s["fraction"] for s in spec["selected"]):
            group = [s for s in spec["selected"] if s["fraction"] == fraction]
            found = _group_rows(group, task, measured, spec["confidence"])
            rows += [row | guessed for row in found]
    facts = {row["distribution"]: row for row in runs.to_pylist()}
    sizes = {s["name"]: len(_examples(s["name"], results)) for s in spec["selected"]}
    for row in rows:
        row["relative_compute"] = spec["relative_compute"].get(row["proxy"])
        row["size"] = sizes[row["name"]]
        row["epochs"] = facts[row["name"]]["epochs"]
        row |= alike.get(row["name"], {})
    return [{column: row.get(column) for column in COLUMNS} for row in rows]


def _measure(losses: pa.Table) -> Measured:
    """Run means of one task's losses."""
    keys = ["distribution", "draw", "seed"]
    right = losses["correct"].cast(pa.float64())
    table = losses.append_column("right", right).group_by(keys)
    means = table.aggregate([("loss", "mean"), ("right", "mean")])
    loss: dict[str, list[float]] = {}
    accuracy: dict[str, list[float]] = {}
    for row in means.sort_by([(key, "ascending") for key in keys]).to_pylist():
        loss.setdefault(row["distribution"], []).append(row["loss_mean"])
        told = accuracy.setdefault(row["distribution"], [])
        if row["right_mean"] is not None:
            told.append(row["right_mean"])
    return Measured(*({k: np.array(v) for k, v in found.items()} for found in (loss, accuracy)))


def _pool(values: list[np.ndarray], confidence: float) -> Pooled:
    """Variance within selections."""
    degrees = sum(len(v) - 1 for v in values)
    squares = sum(float(((v - v.mean()) ** 2).sum()) for v in values)
    return Pooled(squares / degrees, float(stats.t.ppf((1 + confidence) / 2, degrees)))


def _group_rows(
    group: list[dict[str, Any]], task: str, measured: Measured, confidence: float
) -> Iterator[dict[str, Any]]:
    """Rows of all selections of one size on one task."""
    names = [selected["name"] for selected in group]
    pooled = _pool([measured.loss[name] for name in names], confidence)
    random = measured.loss[next(s["name"] for s in group if s["method"] == "random")]
    scored = all(len(measured.accuracy[name]) for name in names)
    right = _pool([measured.accuracy[name] for name in names], confidence) if scored else None
    for selected in group:
        loss = measured.loss[selected["name"]]
        reach, gain = pooled.reach(len(loss)), float(random.mean() - loss.mean())
        between = pooled.reach(len(loss), len(random))
        row = {
            **selected,
            "selected_for": selected["task"],
            "measured_on": task,
            "seeds": len(loss),
            "loss": float(loss.mean()),
            "loss_sd": float(np.sqrt(pooled.variance)),
            "loss_low": float(loss.mean() - reach),
            "loss_high": float(loss.mean() + reach),
        }
        if selected["method"] != "random":
            row |= {"gain": gain, "gain_low": gain - between, "gain_high": gain + between}
        if right:
            accuracy = measured.accuracy[selected["name"]]
            mean, reach = float(accuracy.mean()), right.reach(len(accuracy))
            row |= {"accuracy": mean, "accuracy_low": mean - reach, "accuracy_high": mean + reach}
        yield row


def _likeness(
    spec: Mapping[str, Any], results: Path
) -> Iterator[tuple[str, dict[str, float | None]]]:
    """How much of the reference's own selection each proxy's has, and how alike they score."""
    selected = [s for s in spec["selected"] if s["proxy"]]
    own = {_kind(s): s for s in selected if s["proxy"] == spec["reference"]}
    for one in selected:
        reference = own.get(_kind(one))
        if reference is None:
            continue
        mine, theirs = (_examples(s["name"], results) for s in (one, reference))
        row: dict[str, float | None] = {
            "overlap_with_reference": len(np.intersect1d(mine, theirs)) / len(mine)
        }
        if one["name"] in spec["scores"]:
            scores = [
                artifacts.read(results / spec["scores"][s["name"]], "score").sort_by("example")
                for s in (one, reference)
            ]
            row["scores_spearman"] = float(
                stats.spearmanr(*(table["score"].to_numpy() for table in scores))[0]
            )
        yield one["name"], row


def _kind(selected: Mapping[str, Any]) -> tuple[Any, ...]:
    """What selections through different proxies have in common."""
    return selected["task"], selected["method"], selected["fraction"]


def _examples(name: str, results: Path) -> np.ndarray:
    """The examples of a selection's first draw."""
    table = artifacts.read(results / "distributions" / f"{name}.parquet", "distribution")
    return np.asarray(where(table, draw=0)["example"].to_numpy())
