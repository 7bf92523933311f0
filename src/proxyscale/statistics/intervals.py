"""Intervals that hold for six to ten distributions.

A percentile bootstrap does not: it covers too little for a correlation and collapses to [1, 1] for
a perfect ranking. The estimand is the population from which the distributions (recipes) are drawn,
measured with as many seeds as were trained: seed noise is part of every point, so an interval over
distributions contains it already.

What simulation shows (tests/statistics/test_intervals.py), 95 % two-sided, n = 6, 10, 25, true
Pearson r = .8, .95, .99. *Normal*: bivariate normal losses. *Clustered*: three equally likely
sources, far apart, that hold three quarters of the variance, or all of r; truth is the statistic
of that mixture's population. *Heavy*: Student's t with three degrees of freedom. *Skewed*:
exponentials of normal losses. *Far kind*: one recipe in ten lies four standard deviations off.

- Pearson, R²: normal 95.5–98.3 %, clustered 97–98.6 %, heavy 92–96 %, skewed 92.5–97 %, far kind
  92–96 %. Fisher's z alone covers 87–92 % of the last three.
- Spearman, Kendall: normal 93.4–97 %. Kendall's 16 values of six points leave 97.3 % at r = .8,
  where the next narrower interval has 94.6 %. Clustered up to 98.4 %.
- One-sided decision accuracy: false in at most 4.5 % of cases, clustered points included, even if
  the order within each cluster is a coin toss (where ½ + asin(r_low)/π is false in 27–100 %). Of
  heavy tails and a far kind τ̂ varies more than a normal copula's: false in up to 6.6 % at n ≤ 25
  and 8.5 % at n = 100. A variance by the jackknife would leave 5.8 %, but cost normal losses up to
  .02 of the bound at n = 10, a fifth larger one .015 and leave 6.2 %.
- Where they fail: if a proxy is right for most recipes and random for a rare kind (10–15 %),
  Pearson's interval of a nearly perfect rest covers 60–80 %, and the decision bound is false in up
  to 16 % at n = 10–25: what is not in the sample cannot be bounded by it.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import special

from proxyscale.statistics.grid import Array
from proxyscale.statistics.measures import leave_one_out, pearson

Interval = tuple[Array, Array]
BISECTIONS = 50
FEW = 2  # numbers whose bounds are kept: one, or both sides of an interval
HIGHEST = 1 - 1e-6  # correlation of which Fisher's z is taken; above, the interval reaches 1
LEAST = 4  # points of which z has a variance
# Chosen by simulation: how far from z, in its standard errors, one point left out may move it; and
# the largest error of eight points or more, with which R² is never [0, 1] where r is .9 or above.
CLIP, WIDEST, WIDEST_FROM = 3.0, 0.83, 8


def quantile(confidence: float) -> float:
    """Standard normal quantile of a two-sided interval."""
    return float(special.ndtri((1 + confidence) / 2))


def _fisher(r: Array) -> Array:
    return np.asarray(np.arctanh(np.clip(r, -HIGHEST, HIGHEST)))


def _others(x: Array, y: Array, z: Array) -> Array:
    """Fisher's z of all other points, for each left out, held near that of all: [n, ...].

    One value of ±1, as rounded losses give, must not decide; an undefined one counts as z.
    """
    found = _fisher(leave_one_out(x, y))
    reach = CLIP / np.sqrt(len(x) - 3)
    return np.clip(np.where(np.isnan(found), z, found), z - reach, z + reach)


def variance_ratio(x: Array, y: Array) -> Array:
    """Jackknife variance of Fisher's z over a normal population's, 1/(n − 3).

    `x`, `y` [n, ...], along the first axis. Clustered points have less than 1, heavy tails more.
    1 below four points and for constant ones.
    """
    n, z = len(x), _fisher(pearson(x, y))
    if n < LEAST:
        return np.ones(x.shape[1:])
    ratio: Array = (n - 1) * (n - 3) * _others(x, y, z).var(axis=0)
    return np.where(np.isnan(ratio), 1.0, ratio)


def pearson_interval(x: Array, y: Array, confidence: float = 0.95) -> Interval:
    """Fisher's z, centred and widened by the jackknife: x, y [n, ...] → low, high [...].

    centre (z + z_J)/2, z_J the jackknife's estimate; error the larger of 1/√(n − 3) and the
    jackknife's. The interval holds r. [-1, 1] for fewer than four points, NaN for constant ones.
    Source: Fisher (1921), Metron 1, 3–32; Quenouille (1956), Biometrika 43, 353–360.
    """
    r, n = pearson(x, y), len(x)
    if n < LEAST:
        return np.where(np.isnan(r), r, -1.0), np.where(np.isnan(r), r, 1.0)
    z, normal = _fisher(r), 1 / np.sqrt(n - 3)
    others = _others(x, y, z)
    centre = (z + n * z - (n - 1) * others.mean(axis=0)) / 2
    widest = WIDEST if n >= WIDEST_FROM else np.inf
    error = np.clip(np.sqrt((n - 1) * others.var(axis=0)), normal, max(widest, normal))
    half = quantile(confidence) * error
    low, high = np.tanh(np.minimum(centre - half, z)), np.tanh(np.maximum(centre + half, z))
    # what is 1 to all digits may be so
    return np.where(r <= -HIGHEST, -1.0, low), np.where(r >= HIGHEST, 1.0, high)


def r2_interval(x: Array, y: Array, confidence: float = 0.95) -> Interval:
    """Squares of the r in Pearson's interval; from 0 on where that holds both signs."""
    return squared(*pearson_interval(x, y, confidence))


def squared(low: Array, high: Array) -> Interval:
    """The squares of all numbers between two."""
    crosses = (low < 0) & (high > 0)
    return np.where(crosses, 0.0, np.minimum(low**2, high**2)), np.maximum(low**2, high**2)


def decision_interval(
    accuracy: Array, n: int, confidence: float = 0.95, pairs: float | None = None
) -> Interval:
    """Both one-sided bounds of decision accuracy, each at (1 + confidence)/2."""
    side = (1 + confidence) / 2
    accuracy = np.asarray(accuracy, dtype=float)
    low, high = decision_bound(np.stack([accuracy, 1 - accuracy]), n, side, pairs)
    return low, 1 - high


def decision_bound(
    accuracy: Array, n: int, confidence: float = 0.95, pairs: float | None = None
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
    # a number is asked for again and again: n recipes can be ordered in so many ways only
    if accuracy.size <= FEW:
        found = _bounds_of_few(tuple(accuracy.ravel().tolist()), n, confidence, share)
        return found.reshape(accuracy.shape)
    return _bounds(accuracy, n, confidence, share)


@functools.lru_cache(maxsize=65_536)
def _bounds_of_few(few: tuple[float, ...], n: int, confidence: float, share: float) -> Array:
    return _bounds(np.array(few), n, confidence, share)


def decision_above(accuracy: Array, n: int, level: float, confidence: float = 0.95) -> Array:
    """Whether `decision_bound` is above a level: one look at the hypothesis that it is there."""
    accuracy = np.asarray(accuracy, dtype=float)
    hypothesis = np.full_like(accuracy, level)
    found: Array = (accuracy > level) & ~_likely(hypothesis, accuracy, n, confidence, 1.0)
    return found


def _bounds(accuracy: Array, n: int, confidence: float, share: float) -> Array:
    """`decision_bound` of so large a share of all pairs, by bisection."""
    low, high = np.zeros_like(accuracy), np.where(np.isnan(accuracy), 1.0, accuracy)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        likely = _likely(middle, accuracy, n, confidence, share)
        low, high = np.where(likely, low, middle), np.where(likely, middle, high)
    return np.where(np.isnan(accuracy), accuracy, low)


def _likely(truth: Array, accuracy: Array, n: int, confidence: float, share: float) -> Array:
    """Whether `accuracy` or more has at least the mid-P probability 1 − confidence."""
    m = effective_pairs(truth, n) * share
    right = np.minimum(accuracy * m, m)
    # binomial tails with real m: P(X ≥ x) = I_p(x, m − x + 1)
    reached = special.betainc(np.maximum(right, 1e-12), m - right + 1, truth)
    beyond = special.betainc(right + 1, np.maximum(m - right, 1e-12), truth)
    above = np.where(m - right < 1e-9, 0.0, beyond)
    likely: Array = (reached + above) / 2 > 1 - confidence
    return likely


def effective_pairs(accuracy: Array, n: int) -> Array:
    """Independent pairs that are worth as much as all of n distributions (`decision_bound`)."""
    tau = np.minimum(np.maximum(2 * accuracy - 1, -1 + 1e-9), 1 - 1e-9)
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
