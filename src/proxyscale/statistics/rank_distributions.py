"""Spearman's and Kendall's correlations of few points under a normal population, by simulation.

With few points ranks take few values, and no formula for their variance gives intervals that hold.
Their distribution does: for a grid of true correlations r it is simulated once for every n (the
ranks are those of any population with a normal copula), and an interval is made of all r that a
test does not reject. The test is Blaker's (2000, Canad. J. Statist. 28, 783–798), which does not
spend half of its error on a tail that is not there, with the mid-P correction for discreteness.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
MOST = 50  # points; of more, ranks take so many values that formulas hold
DRAWN = 300_000  # points of all samples together
DEPTHS = np.linspace(0, 9, 217)  # atanh r; the rest by symmetry
SAME = 1e-9


@dataclass(frozen=True)
class Null:
    """A statistic's distribution for each true r of the grid."""

    values: Array  # [values] ascending
    below: Array  # [grid, values], probability of this value or a lower one

    def counts(self, tail: Array, side: Literal["left", "right"]) -> Array:
        """In each row of `below` those smaller than its `tail` [grid], or not larger: [grid]."""
        rows, width = np.arange(len(self.below)), self.below.shape[1]
        found: Array = np.searchsorted(self._joined, tail + 2 * rows, side) - rows * width
        return found

    @functools.cached_property
    def _joined(self) -> Array:
        """The rows of `below` one after the other: two apart, they ascend as one."""
        joined: Array = self.below + 2 * np.arange(len(self.below))[:, None]
        return joined.ravel()


@functools.lru_cache
def nulls(n: int) -> dict[str, Null]:
    """Distributions of Spearman's ρ̂ and Kendall's τ̂ of n normal points."""
    samples = DRAWN // n
    x, noise = np.random.default_rng(n).standard_normal((2, n, samples))
    x.sort(axis=0)
    most = {"spearman": (n**3 - n) // 6, "kendall": n * (n - 1) // 2}
    counts = {name: np.zeros((len(DEPTHS), high + 1)) for name, high in most.items()}
    for row, r in enumerate(np.tanh(DEPTHS)):
        found = _agreement(r * x + np.sqrt(1 - r * r) * noise)
        for name, steps in zip(most, found, strict=True):
            counts[name][row] = np.bincount(steps, minlength=most[name] + 1)
    return {
        name: Null(np.linspace(-1, 1, high + 1), counts[name].cumsum(axis=1) / samples)
        for name, high in most.items()
    }


def _agreement(y: Array) -> tuple[Array, Array]:
    """How far above their lowest values ρ̂ and τ̂ of y [n, samples] with 1 … n are, in steps.

    Spearman's step is 12/(n³ − n), as Σd² is even; Kendall's 4/(n² − n).
    """
    n = len(y)
    # of the points before and after each: which are lower, which are higher than it
    lower, higher = np.zeros((2, *y.shape), dtype=np.int8)
    for lag in range(1, n):
        rises = (y[lag:] > y[:-lag]).view(np.int8)
        lower[lag:] += rises
        higher[:-lag] += rises
    # ranks less 1 … n
    moved = (lower - higher).astype(np.int16) + np.arange(n - 1, -n, -2, dtype=np.int16)[:, None]
    squares = (moved**2).sum(axis=0, dtype=np.int64)
    return ((n**3 - n) // 3 - squares) // 2, lower.sum(axis=0, dtype=np.int64)


def interval(statistic: str, value: float, n: int, confidence: float) -> tuple[float, float]:
    """The lowest and the highest r of a normal population that `value` does not reject.

    `statistic`: spearman or kendall. ±1 where no r of the grid is rejected on that side.
    """
    null = nulls(n)[statistic]
    positive, negative = _p_values(null, value), _p_values(null, -value)
    middle = (positive[:1] + negative[:1]) / 2
    p = np.concatenate([negative[:0:-1], middle, positive[1:]])
    depths = np.concatenate([-DEPTHS[:0:-1], DEPTHS])
    # a perfect ranking's mid-P is ½ at most: what fits best is never rejected
    level = min(1 - confidence, p.max() - SAME)
    kept = np.flatnonzero(p > level)
    first, last = kept[0], kept[-1]
    low = -1.0 if first == 0 else _crossing(p, depths, first - 1, first, level)
    high = 1.0 if last == len(p) - 1 else _crossing(p, depths, last + 1, last, level)
    return low, high


def _crossing(p: Array, depths: Array, outer: int, inner: int, level: float) -> float:
    """The r at which p, straight between two points of the grid, passes a level."""
    share = (level - p[outer]) / (p[inner] - p[outer])
    return float(np.tanh(depths[outer] + share * (depths[inner] - depths[outer])))


def _p_values(null: Null, value: float) -> Array:
    """Blaker's mid-P value of an observed value, for every r of the grid: [grid]."""
    column = np.searchsorted(null.values, value - SAME)
    lower = null.below[:, column - 1] if column else np.zeros(len(null.below))
    on_grid = column < len(null.values) and abs(null.values[column] - value) < SAME
    at = null.below[:, column] - lower if on_grid else 0.0
    down, up = lower + at, 1 - lower
    own = np.minimum(down, up)
    others = np.where(down < up, _rarer_above(null, own - SAME), _rarer_below(null, own - SAME))
    p: Array = own - at / 2 + others
    return p


def _rarer_below(null: Null, tail: Array) -> Array:
    """The largest lower tail that holds less than another tail, for every r: [grid]."""
    count = null.counts(tail, "left")
    found = null.below[np.arange(len(count)), np.maximum(count - 1, 0)]
    return np.where(count > 0, found, 0.0)


def _rarer_above(null: Null, tail: Array) -> Array:
    """The largest upper tail that holds less than another tail, for every r: [grid]."""
    column, last = null.counts(1 - tail, "right"), null.below.shape[1] - 1
    found = 1 - null.below[np.arange(len(column)), np.minimum(column, last)]
    return np.where(column <= last, found, 0.0)
