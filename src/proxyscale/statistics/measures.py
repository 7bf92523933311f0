"""How alike a proxy orders and spaces the distributions: the bare numbers, without their intervals.

Losses throughout: lower is better. `x` or `proxy` and `y` or `reference` are mean losses over the
same distributions, in the same order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy

from proxyscale.statistics.grid import Array


def pearson(x: Array, y: Array) -> Array:
    """Pearson correlation along the first axis; NaN where either is constant."""
    # the mean of equal values need not be that value to the last bit
    flat = (np.ptp(x, axis=0) == 0) | (np.ptp(y, axis=0) == 0)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    norm = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    flat = flat | (norm == 0)
    return np.clip(np.where(flat, np.nan, (x * y).sum(axis=0) / np.where(flat, 1, norm)), -1, 1)


def leave_one_out(x: Array, y: Array) -> Array:
    """Pearson correlation of all other points, for each left out: [n, ...]; NaN where undefined."""
    n = len(x)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    # sums of squares and products of all others, about their own means
    xx, yy, xy = (
        (a * b).sum(axis=0) - a * b * n / max(n - 1, 1) for a, b in ((x, x), (y, y), (x, y))
    )
    small = 1e-12
    with np.errstate(invalid="ignore", divide="ignore"):
        flat = (xx <= small * (x * x).sum(axis=0)) | (yy <= small * (y * y).sum(axis=0))
        r = np.where(flat, np.nan, xy / np.sqrt(np.where(flat, 1, xx * yy)))
    return np.clip(r, -1, 1)


def correlations(x: Array, y: Array) -> dict[str, float]:
    """R², of the losses and of their logarithms, Pearson, Spearman (mean ranks) and Kendall τ-b.

    NaN below three points, where either is constant, and of the logarithms where a loss is not
    positive.
    """
    names = ("r2", "r2_log", "pearson", "spearman", "kendall")
    if len(x) < 3:
        return dict.fromkeys(names, np.nan)
    r, log = float(pearson(x, y)), np.nan
    if (x > 0).all() and (y > 0).all():
        log = float(pearson(np.log(x), np.log(y)))
    ranks = float(pearson(scipy.stats.rankdata(x), scipy.stats.rankdata(y)))
    return dict(zip(names, (r * r, log * log, r, ranks, _kendall(x, y)), strict=True))


def _kendall(x: Array, y: Array) -> float:
    """τ-b from the signs of all pairs."""
    i, j = np.triu_indices(len(x), 1)
    a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
    untied = np.sqrt(float((a != 0).sum()) * float((b != 0).sum()))
    return float((a * b).sum() / untied) if untied else np.nan


class Decisions(NamedTuple):
    """How many pairs of distributions are ordered right, and of how many that can be said."""

    accuracy: float  # NaN of no pair
    pairs: int  # that the reference orders
    tied: float  # share of those that the proxy ties
    reference_tied: float  # share of all pairs that the reference ties


def decisions(x: Array, y: Array, margin: Array | None = None) -> Decisions:
    """Share of pairs that x orders as y does (decision accuracy: DataDecide, 2504.11393).

    A pair tied in x counts one half; one tied in y has no right order and is left out. With
    `margin` [pairs, as of triu_indices], only pairs with |Δy| above it; NaN decides nothing.
    """
    i, j = np.triu_indices(len(x), 1)
    proxy, difference = x[i] - x[j], y[i] - y[j]
    decided = np.abs(difference) > (0 if margin is None else margin)
    pairs = int(decided.sum())
    reference_tied = float((difference == 0).mean()) if len(i) else np.nan
    if not pairs:
        return Decisions(np.nan, 0, np.nan, reference_tied)
    right = np.where(proxy == 0, 0.5, proxy * difference > 0)[decided]
    return Decisions(
        float(right.mean()), pairs, float((proxy == 0)[decided].mean()), reference_tied
    )


def chance(asked: pa.Table) -> float:
    """Accuracy of a guess at a task's examples: one over the number of choices; 0 without any.

    Where all examples have the same choices, that of the answer that is right most often, if it is
    higher: so much a model has that knows nothing but which answer is common.
    """
    counts = asked.group_by("example").aggregate([("choice", "count")])["choice_count"].to_numpy()
    guess = float(np.where(counts > 1, 1 / counts, 0.0).mean())
    offered = asked.group_by("continuation").aggregate([("example", "count"), ("gold", "sum")])
    everywhere = pc.all(pc.equal(offered["example_count"], len(counts))).as_py()
    if counts.min() < 2 or len(offered) != counts.max() or not everywhere:
        return guess
    return float(max(guess, pc.max(offered["gold_sum"]).as_py() / len(counts)))
