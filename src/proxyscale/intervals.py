"""Intervals that hold for six to ten distributions, and the noise ceiling.

A percentile bootstrap does not: it covers too little for a correlation and collapses to [1, 1] for
a perfect ranking. The estimand is the population from which the distributions (recipes) are drawn,
measured with as many seeds as were trained: seed noise is part of every point, so an interval over
distributions contains it already.

What simulation shows (tests/test_intervals.py), 95 % two-sided, n = 6, 10, 25, true Pearson r = .8,
.95, .99. *Normal*: bivariate normal losses. *Clustered*: three equally likely sources, far apart,
that hold three quarters of the variance; truth is the statistic of that mixture's population.

- Pearson, R²: 95–95.5 % normal, 96–98 % clustered (light tails: wider than needed). At n = 6 and
  r = .8 R² covers 96.5 %, as its interval may reach 0.
- Kendall: 95–97.5 % normal, up to 99 % clustered. Spearman: 94.5–98 % normal from n = 10 on. Ranks
  of six points, or of ten at r = .99, take so few values that no interval meets 95 %: Spearman's
  then covers 99 %. None falls below 94 %.
- One-sided decision accuracy: false in at most 4.5 % of cases, clustered points included, even if
  the order within each cluster is a coin toss (where ½ + asin(r_low)/π is false in 27–100 %).
- Where it fails: losses with heavy tails or one rare far-away source leave Pearson's interval with
  70–93 %; the decision bound keeps 6 % there. If a proxy is right for most recipes and random for
  a rare kind (15 %), the decision bound is false in up to 16 % at n = 10–25: what is not in the
  sample cannot be bounded by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special, stats

Array = np.ndarray[Any, Any]
Interval = tuple[Array, Array]
BISECTIONS = 50
SPEARMAN_GRID = np.sign(np.linspace(-1, 1, 8001)) * np.tanh(8 * np.abs(np.linspace(-1, 1, 8001)))


def quantile(confidence: float) -> float:
    """Standard normal quantile of a two-sided interval."""
    return float(stats.norm.ppf((1 + confidence) / 2))


def pearson_interval(r: Array, n: int, confidence: float = 0.95) -> Interval:
    """Fisher's z: tanh(atanh r ± z/√(n − 3)). [-1, 1] for fewer than four points.

    Source: Fisher (1921), Metron 1, 3–32.
    """
    r = np.asarray(r, dtype=float)
    if n < 4:
        return np.where(np.isnan(r), r, -1.0), np.where(np.isnan(r), r, 1.0)
    with np.errstate(divide="ignore"):
        z = np.arctanh(np.clip(r, -1, 1))
    half = quantile(confidence) / np.sqrt(n - 3)
    return np.tanh(z - half), np.tanh(z + half)


def r2_interval(r: Array, n: int, confidence: float = 0.95) -> Interval:
    """Squares of the r in Pearson's interval; from 0 on where that holds both signs."""
    low, high = pearson_interval(r, n, confidence)
    crosses = (low < 0) & (high > 0)
    return np.where(crosses, 0.0, np.minimum(low**2, high**2)), np.maximum(low**2, high**2)


def spearman_interval(rho: Array, n: int, confidence: float = 0.95) -> Interval:
    """Fisher's z with the rank variance, the exact mean of ρ̂ and half a step of continuity.

    se² = (1 + .65 ρ̂²)/(n − 3), near Bonett & Wright (2000), Psychometrika 65, 23–28, who have .5,
    which is too narrow above .95; the bounds on E ρ̂ = (3τ + (n − 2)ρ)/(n + 1) (Kendall, Rank
    Correlation Methods) are solved for ρ along the normal's τ and ρ, since that bias alone costs 10
    points of coverage at r = .99. ρ̂ moves in steps of 12/(n³ − n), and half of one keeps a perfect
    ranking away from an empty interval.
    """
    rho = np.asarray(rho, dtype=float)
    if n < 4:
        return pearson_interval(rho, n, confidence)
    spearman = from_pearson("spearman", SPEARMAN_GRID)
    mean = (3 * from_pearson("kendall", SPEARMAN_GRID) + (n - 2) * spearman) / (n + 1)
    half_step = 6 / (n**3 - n)

    def bound(sign: int) -> Array:
        shifted = np.clip(rho + sign * half_step, half_step - 1, 1 - half_step)
        error = np.sqrt((1 + 0.65 * shifted**2) / (n - 3))
        edge = np.tanh(np.arctanh(shifted) + sign * quantile(confidence) * error)
        solved: Array = np.interp(edge, mean, spearman)
        return solved

    low = np.where(rho < half_step - 1, -1.0, np.minimum(bound(-1), rho))
    high = np.where(rho > 1 - half_step, 1.0, np.maximum(bound(1), rho))
    return low, high


def kendall_interval(tau: Array, n: int, confidence: float = 0.95) -> Interval:
    """The interval of decision accuracy (1 + τ)/2, doubled."""
    low, high = decision_interval((1 + np.asarray(tau, dtype=float)) / 2, n, confidence)
    return 2 * low - 1, 2 * high - 1


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
