"""Intervals that hold for six to ten distributions, and the noise ceiling.

A percentile bootstrap does not: it covers too little for a correlation and collapses to [1, 1] for
a perfect ranking. The estimand is the population from which the distributions (recipes) are drawn,
measured with as many seeds as were trained: seed noise is part of every point, so an interval over
distributions contains it already.

What simulation shows (tests/test_intervals.py), 95 % two-sided, n = 6, 10, 25, true Pearson r = .8,
.95, .99. *Normal*: bivariate normal losses. *Clustered*: three equally likely sources, far apart,
that hold three quarters of the variance; truth is the statistic of that mixture's population.

- Pearson, R²: 95–97 %, with the jackknife's share in the variance; without it up to 98 % clustered.
- Spearman, Kendall: 93.4–97 %. Kendall's 16 values of six points leave 97.3 % at r = .8, where the
  next narrower interval has 94.6 %.
- One-sided decision accuracy: false in at most 4.5 % of cases, clustered points included, even if
  the order within each cluster is a coin toss (where ½ + asin(r_low)/π is false in 27–100 %); there
  Spearman's and Kendall's intervals cover up to 98.4 %.
- Where it fails: losses with tails like Student's t with three degrees of freedom leave Pearson's
  interval with 87–93 % (70–90 % without the jackknife); the decision bound keeps 6 % there. If a
  proxy is right for most recipes and random for a rare kind (15 %), the decision bound is false in
  up to 16 % at n = 10–25: what is not in the sample cannot be bounded by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special, stats

from proxyscale.statistics import rank_distributions

Array = np.ndarray[Any, Any]
Interval = tuple[Array, Array]
BISECTIONS = 50
HIGHEST = 1 - 1e-12  # correlation of which Fisher's z is taken
# Chosen by simulation: the points at which the jackknife's variance counts half, for values and for
# ranks; of ranks also from how many points on it counts, and up to which ratio.
VALUES_HALF, RANKS_HALF, RANKS_FROM, RANKS_WIDEST = 30, 10, 15, 1.15
SPEARMAN_GRID = np.sign(np.linspace(-1, 1, 8001)) * np.tanh(8 * np.abs(np.linspace(-1, 1, 8001)))


def quantile(confidence: float) -> float:
    """Standard normal quantile of a two-sided interval."""
    return float(stats.norm.ppf((1 + confidence) / 2))


def variance_ratio(x: Array, y: Array) -> Array:
    """Jackknife variance of Fisher's z over a normal population's, 1/(n − 3).

    `x`, `y` [n, ...], along the first axis. Clustered points have less than 1, heavy tails more; of
    little worth for few points, which is why the intervals give it a share alone. 1 below four.
    """
    n = len(x)
    if n < 4:
        return np.ones(x.shape[1:])
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    # sums of squares and products of all others, about their own means
    xx, yy, xy = ((a * b).sum(axis=0) - a * b * n / (n - 1) for a, b in ((x, x), (y, y), (x, y)))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.clip(xy / np.sqrt(xx * yy), -HIGHEST, HIGHEST)
    ratio: Array = (n - 1) * (n - 3) * np.arctanh(r).var(axis=0)
    return np.where(np.isnan(ratio), 1.0, ratio)


def _blend(ratio: Array | float, n: int, half: int) -> Array:
    """The variance ratio and 1, the normal population's: half and half at n = `half`."""
    return 1 + n / (n + half) * (np.asarray(ratio) - 1)


def pearson_interval(
    r: Array, n: int, confidence: float = 0.95, ratio: Array | float = 1.0
) -> Interval:
    """Fisher's z: tanh(atanh r ± z/√(n − 3)), as wide as `ratio` (`variance_ratio`) asks for.

    [-1, 1] for fewer than four points. Source: Fisher (1921), Metron 1, 3–32.
    """
    r = np.asarray(r, dtype=float)
    if n < 4:
        return np.where(np.isnan(r), r, -1.0), np.where(np.isnan(r), r, 1.0)
    with np.errstate(divide="ignore"):
        z = np.arctanh(np.clip(r, -1, 1))
    half = quantile(confidence) * np.sqrt(_blend(ratio, n, VALUES_HALF) / (n - 3))
    return np.tanh(z - half), np.tanh(z + half)


def r2_interval(r: Array, n: int, confidence: float = 0.95, ratio: Array | float = 1.0) -> Interval:
    """Squares of the r in Pearson's interval; from 0 on where that holds both signs."""
    low, high = pearson_interval(r, n, confidence, ratio)
    crosses = (low < 0) & (high > 0)
    return np.where(crosses, 0.0, np.minimum(low**2, high**2)), np.maximum(low**2, high**2)


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
        spearman, kendall = (from_pearson(s, SPEARMAN_GRID) for s in ("spearman", "kendall"))
        mean = (3 * kendall + (n - 2) * spearman) / (n + 1)
        middle = np.clip(rho, -HIGHEST, HIGHEST)
        half = quantile(confidence) * np.sqrt((1 + 0.65 * middle**2) / (n - 3))
        fisher = np.tanh(np.arctanh(middle) + np.array([-half, half]))
        return np.asarray(np.interp(fisher, mean, SPEARMAN_GRID))

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
    if n < 4 or np.isnan(value):
        low, high = pearson_interval(np.asarray(value), n)
        return float(low), float(high)
    if n <= rank_distributions.MOST:
        edges = np.array(rank_distributions.interval(statistic, value, n, confidence))
    else:
        edges = of_many()
    if n >= RANKS_FROM:
        centre = np.arctanh(to_pearson(statistic, np.asarray(value)) * HIGHEST)
        depths = np.arctanh(np.clip(edges, -HIGHEST, HIGHEST))
        stretch = np.sqrt(_blend(min(ratio, RANKS_WIDEST), n, RANKS_HALF))
        edges = np.where(abs(edges) < 1, np.tanh(centre + stretch * (depths - centre)), edges)
    low, high = from_pearson(statistic, edges)
    return float(min(low, value)), float(max(high, value))


def decision_interval(
    accuracy: Array, n: int, confidence: float = 0.95, pairs: int | None = None
) -> Interval:
    """Both one-sided bounds of decision accuracy, each at (1 + confidence)/2."""
    side = (1 + confidence) / 2
    low = decision_bound(accuracy, n, side, pairs)
    return low, 1 - decision_bound(1 - np.asarray(accuracy, dtype=float), n, side, pairs)


def decision_bound(
    accuracy: Array, n: int, confidence: float = 0.95, pairs: int | None = None
) -> Array:
    """Lower one-sided bound of the share of pairs of n distributions that are ordered right.

    Pairs share distributions, so n(n − 1)/2 of them are worth fewer independent ones: as many as
    give Kendall's τ its variance under a normal copula, m(τ) = (1 − τ²)/Var τ̂. The bound is the
    accuracy at which `accuracy` or more has the mid-P probability 1 − confidence, binomial with
    m independent pairs. As m is taken at the hypothesis (Wilson's way), a perfect ranking does not
    collapse it: it gives .79, .93, .99 at n = 6, 10, 25. `pairs` (decided ones alone) shrinks m in
    proportion. Var τ̂: Esscher (1924), in Kendall, Rank Correlation Methods, ch. 10.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    every = n * (n - 1) / 2
    share = 1.0 if pairs is None else pairs / max(every, 1)
    if n < 2 or share == 0:
        return np.where(np.isnan(accuracy), accuracy, 0.0)
    low, high = np.zeros_like(accuracy), np.where(np.isnan(accuracy), 1.0, accuracy)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        m = effective_pairs(middle, n) * share
        right = np.minimum(accuracy * m, m)
        # binomial tails with real m: P(X ≥ x) = I_p(x, m − x + 1)
        reached = special.betainc(np.maximum(right, 1e-12), m - right + 1, middle)
        above = np.where(
            m - right < 1e-9, 0.0, special.betainc(right + 1, np.maximum(m - right, 1e-12), middle)
        )
        likely = (reached + above) / 2 > 1 - confidence
        low, high = np.where(likely, low, middle), np.where(likely, middle, high)
    return np.where(np.isnan(accuracy), accuracy, low)


def effective_pairs(accuracy: Array, n: int) -> Array:
    """Independent pairs that are worth as much as all of n distributions (`decision_bound`)."""
    tau = np.clip(2 * accuracy - 1, -1 + 1e-9, 1 - 1e-9)
    latent = np.sin(np.pi * tau / 2)
    triples = 1 / 9 - 4 / np.pi**2 * np.arcsin(latent / 2) ** 2
    variance = 2 / (n * (n - 1)) * (1 - tau**2 + 2 * (n - 2) * triples)
    pairs: Array = (1 - tau**2) / variance
    return pairs


def from_pearson(statistic: str, r: Array) -> Array:
    """A statistic's value in a normal population with Pearson correlation r.

    Spearman 6/π·asin(r/2), Kendall 2/π·asin r, decision accuracy ½ + asin(r)/π, R² r² (Pearson
    1907, Greiner 1909).
    """
    values: dict[str, Array] = {
        "pearson": r,
        "r2": np.asarray(r) ** 2,
        "spearman": 6 / np.pi * np.arcsin(np.asarray(r) / 2),
        "kendall": 2 / np.pi * np.arcsin(r),
        "decision_accuracy": 0.5 + np.arcsin(r) / np.pi,
    }
    return values[statistic]


def to_pearson(statistic: str, value: Array) -> Array:
    """The inverse of `from_pearson`, of spearman and kendall."""
    return 2 * np.sin(np.pi / 6 * value) if statistic == "spearman" else np.sin(np.pi / 2 * value)


def sd_interval(sd: float, degrees: int, confidence: float = 0.95) -> tuple[float, float]:
    """χ² interval of a standard deviation pooled over distributions."""
    low, high = stats.chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], degrees)
    return sd * float(np.sqrt(degrees / low)), sd * float(np.sqrt(degrees / high))


def single_seed_correlation(means: Array, variance: float, seeds: float) -> float:
    """r₁: the correlation that two single-seed trainings of the same scale have over distributions.

    One-way intraclass correlation, so that it serves any number of runs per distribution:
    (B − W)/(B + (s − 1)·W), B = s·Var(means), W the pooled variance between seeds.
    Source: Shrout & Fleiss (1979), ICC(1, 1).
    """
    between = seeds * np.var(means, ddof=1)
    return float((between - variance) / (between + (seeds - 1) * variance))


def noise_ceiling(r1: float, seeds: float) -> float:
    """ρ_s = s·r₁/(1 + (s − 1)·r₁): the R² of a perfect predictor with a mean of s seeds.

    Of a correlation the ceiling is its square root. Below 0 (more noise than signal) counts as 0.
    Source: Spearman (1910), Brown (1910).
    """
    return max(0.0, seeds * r1 / (1 + (seeds - 1) * r1)) if r1 > 0 else 0.0


def ceiling_interval(
    ceiling: float, n: int, degrees: int, confidence: float = 0.95
) -> tuple[float, float]:
    """F interval of ρ_s = 1 − W/B over n distributions, W with `degrees` degrees of freedom."""
    tails = stats.f.ppf([(1 + confidence) / 2, (1 - confidence) / 2], n - 1, degrees)
    low, high = np.clip(1 - (1 - ceiling) * tails, 0, 1)
    return float(low), float(high)
