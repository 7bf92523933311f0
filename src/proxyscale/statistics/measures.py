"""How alike a proxy orders and spaces the distributions: the bare numbers, without their intervals.

Losses throughout: lower is better. `x` or `proxy` and `y` or `reference` are mean losses over the
same distributions, in the same order.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy import stats

from proxyscale.statistics import intervals
from proxyscale.statistics.grid import Array


class Noise(NamedTuple):
    """Seed noise of one scale on one task: `variance` of one run, pooled over distributions."""

    variance: float
    degrees: int
    counts: Array  # [distributions], runs of each

    @property
    def seeds(self) -> float:
        """Runs of a distribution, as the harmonic mean."""
        return float(len(self.counts) / np.sum(1 / self.counts))


def is_higher(task: str, direction: str | Mapping[str, str]) -> bool:
    """Whether higher values of a task are better: `direction` is one word, or one by glob."""
    if isinstance(direction, str):
        return direction == "higher"
    chosen = [way for glob, way in direction.items() if fnmatch.fnmatchcase(task, glob)]
    return chosen[:1] == ["higher"]


def ceiling(means: Array, noise: Noise) -> float:
    """R² that a perfect predictor has with these means (`noise_ceiling`); NaN without seeds."""
    if not noise.degrees or len(means) < 3 or np.ptp(means) == 0:
        return np.nan
    r1 = intervals.single_seed_correlation(means, noise.variance, noise.seeds)
    return intervals.noise_ceiling(r1, noise.seeds)


def pearson(x: Array, y: Array) -> Array:
    """Pearson correlation along the first axis; NaN where either is constant."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r: Array = (x * y).sum(axis=0) / np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    return np.clip(r, -1, 1)


def correlations(x: Array, y: Array) -> dict[str, float]:
    """R², Pearson, Spearman (mean ranks) and Kendall τ-b of two vectors; NaN below three points."""
    if len(x) < 3:
        return dict.fromkeys(("r2", "pearson", "spearman", "kendall"), np.nan)
    r = float(pearson(x, y))
    return {
        "r2": r * r,
        "pearson": r,
        "spearman": float(pearson(stats.rankdata(x), stats.rankdata(y))),
        "kendall": _kendall(x, y),
    }


def _kendall(x: Array, y: Array) -> float:
    """τ-b from the signs of all pairs."""
    i, j = np.triu_indices(len(x), 1)
    a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
    untied = np.sqrt(float((a != 0).sum()) * float((b != 0).sum()))
    return float((a * b).sum() / untied) if untied else np.nan


def leave_one_out(x: Array, y: Array) -> Array:
    """R² of the other distributions, for each left out: [n]; NaN below four."""
    n = len(x)
    if n < 4:
        return np.full(max(n, 1), np.nan)
    others = np.array([np.delete(np.arange(n), i) for i in range(n)]).T
    return pearson(x[others], y[others]) ** 2


def decision_accuracy(x: Array, y: Array, noise: Noise | None = None) -> tuple[float, int]:
    """Share of pairs that x orders as y does, and their number (DataDecide, 2504.11393).

    A tie in x is wrong; a pair tied in y has no right order and is left out. With `noise`, only
    pairs decided by y's seeds: |Δy| > 2·√(s²(1/n_a + 1/n_b)).
    """
    i, j = np.triu_indices(len(x), 1)
    difference = y[i] - y[j]
    margin = np.zeros(len(i))
    if noise is not None:
        margin = 2 * np.sqrt(noise.variance * (1 / noise.counts[i] + 1 / noise.counts[j]))
    decided = np.abs(difference) > margin
    right = (x[i] - x[j]) * difference > 0
    pairs = int(decided.sum())
    return (float(right[decided].mean()) if pairs else np.nan), pairs


def regret(
    proxy: Array, reference: Array, noise: Noise, top: int, confidence: float
) -> tuple[float, float, float]:
    """Reference loss of the proxy's best `top` distributions' best, above the best of all: ≥ 0.

    (value, low, high); the interval is that of multiple comparisons with the best (Hsu 1984, Ann.
    Statist. 12, 1136–1144; Bonferroni's t for Dunnett's quantile), over seeds, the distributions as
    they are. NaN without seeds.
    """
    picked = np.argsort(proxy, kind="stable")[:top]
    others = np.delete(reference, picked)
    if not len(others):
        return 0.0, 0.0, 0.0
    gap = float(reference[picked].min() - others.min())
    if noise.degrees == 0:
        return max(gap, 0.0), np.nan, np.nan
    tail = (1 - confidence) / 2 / len(others)
    error = np.sqrt(2 * noise.variance / noise.counts.min())
    margin = float(stats.t.ppf(1 - tail, noise.degrees) * error)
    return max(gap, 0.0), max(gap - margin, 0.0), max(gap + margin, 0.0)


def chance(asked: pa.Table) -> float:
    """Accuracy of a guess at a task's examples: one over the number of choices; 0 without any.

    Where all examples have the same choices, that of the answer that is right most often, if it is
    higher: so much a model has that knows nothing but which answer is common.
    """
    counts = asked.group_by("example").aggregate([("choice", "count")])["choice_count"].to_numpy()
    guess = float(np.where(counts > 1, 1 / counts, 0.0).mean())
    offered = asked.group_by("choice").aggregate([("continuation", "count_distinct")])
    if counts.min() < 2 or max(offered["continuation_count_distinct"].to_pylist()) > 1:
        return guess
    right = asked.filter(asked["gold"]).group_by("choice").aggregate([("choice", "count")])
    return float(max(guess, max(right["choice_count"].to_pylist()) / len(counts)))
