"""Intervals of Spearman's and Kendall's correlations.

What simulation shows of them stands with the others (`intervals`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proxyscale.statistics import rank_distributions
from proxyscale.statistics.grid import Array
from proxyscale.statistics.intervals import (
    LEAST,
    decision_interval,
    from_pearson,
    quantile,
    to_pearson,
)

HIGHEST = 1 - 1e-12  # correlation of which Fisher's z is taken
# Chosen by simulation: the number of points at which the jackknife's variance counts half, from how
# many on it counts, and up to which ratio.
HALF, FROM, WIDEST = 10, 15, 1.15
GRID = np.sign(np.linspace(-1, 1, 8001)) * np.tanh(8 * np.abs(np.linspace(-1, 1, 8001)))


def _blend(ratio: float, n: int) -> float:
    """The variance ratio and 1, the normal population's: half and half at n = `HALF`."""
    return 1 + n / (n + HALF) * (ratio - 1)


def spearman_interval(
    rho: float, n: int, confidence: float = 0.95, ratio: float = 1.0
) -> tuple[float, float]:
    """By test inversion (`rank_nulls`) up to 50 points, beyond by Fisher's z.

    There se² = (1 + .65 ρ̂²)/(n − 3), near Bonett & Wright (2000), Psychometrika 65, 23–28, who have
    .5, too narrow above .95; the bounds on E ρ̂ = (3τ + (n − 2)ρ)/(n + 1) (Kendall, Rank Correlation
    Methods) are solved for r along the normal's τ and ρ, since that bias alone costs 10 points of
    coverage at r = .99.
    """

    def of_many() -> Array:
        spearman, kendall = (from_pearson(s, GRID) for s in ("spearman", "kendall"))
        mean = (3 * kendall + (n - 2) * spearman) / (n + 1)
        # half of a step below a perfect ranking, which else had no width
        most = 1 - 6 / (n**3 - n)
        middle = np.clip(rho, -most, most)
        half = quantile(confidence) * np.sqrt((1 + 0.65 * middle**2) / (n - 3))
        fisher = np.tanh(np.arctanh(middle) + np.array([-half, half]))
        return np.asarray(np.interp(fisher, mean, GRID))

    return _rank_interval("spearman", rho, n, confidence, ratio, of_many)


def kendall_interval(
    tau: float, n: int, confidence: float = 0.95, ratio: float = 1.0
) -> tuple[float, float]:
    """By test inversion (`rank_nulls`) up to 50 points, beyond decision accuracy's, doubled."""

    def of_many() -> Array:
        accuracy = decision_interval(np.asarray((1 + tau) / 2), n, confidence)
        return to_pearson("kendall", 2 * np.array(accuracy) - 1)

    return _rank_interval("kendall", tau, n, confidence, ratio, of_many)


def _rank_interval(
    statistic: str,
    value: float,
    n: int,
    confidence: float,
    ratio: float,
    of_many: Callable[[], Array],
) -> tuple[float, float]:
    """The statistic's interval; of more than 50 points `of_many` gives its edges in terms of r [2].

    It is narrowed where points are clustered. What widens the interval of values hardly touches
    ranks, whence the upper limit of the ratio. Ranks of fewer than 15 points take too few values to
    be narrowed.
    """
    if n < LEAST or np.isnan(value):
        return (np.nan, np.nan) if np.isnan(value) else (-1.0, 1.0)
    if n <= rank_distributions.MOST:
        edges = np.array(rank_distributions.interval(statistic, value, n, confidence))
    else:
        edges = of_many()
    if n >= FROM:
        centre = np.arctanh(to_pearson(statistic, np.asarray(value)) * HIGHEST)
        depths = np.arctanh(np.clip(edges, -HIGHEST, HIGHEST))
        stretch = np.sqrt(_blend(min(ratio, WIDEST), n))
        edges = np.where(abs(edges) < 1, np.tanh(centre + stretch * (depths - centre)), edges)
    low, high = from_pearson(statistic, edges)
    return float(min(low, value)), float(max(high, value))
