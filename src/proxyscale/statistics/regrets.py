"""What following a proxy costs, at the reference: here, and next time.

*Here*: the loss of the proxy's pick above the best of these very recipes; what is uncertain is seed
noise. *Next time*: of as many new recipes of the same kind, what the proxy's pick is expected to
lose; what is uncertain is how alike the two scales order recipes. The two are never mixed.

In compute, a loss L above the best L₀ is what e^{(ln L − ln L₀)/α} times the compute would make up
for, α the local slope −d ln L/d ln C between the two largest scales.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import special

from proxyscale.statistics.grid import Array
from proxyscale.statistics.intervals import LEAST, decision_bound, pearson_interval
from proxyscale.statistics.measures import Decisions, decisions
from proxyscale.statistics.seed_noise import Noise

MOST_COMPUTE = 100.0  # times; beyond, a power law between two scales says no more than "more"


def pick(values: Array) -> int:
    """The best recipe: the first of those with the lowest value."""
    return int(np.argmin(values))


def regret(
    proxy: Array, reference: Array, noise: Noise, top: int, confidence: float
) -> tuple[float, float, float]:
    """Here: the reference's loss of the proxy's best `top` recipes' best, above the best of all.

    (value, low, high), ≥ 0; the interval is that of multiple comparisons with the best (Hsu 1984,
    Ann. Statist. 12, 1136–1144), each difference with its own error (`Noise.difference`) and
    Bonferroni's t. NaN where the seed noise is not known.
    """
    picked = np.argsort(proxy, kind="stable")[:top]
    others = np.setdiff1d(np.arange(len(reference)), picked)
    if not len(others):
        return 0.0, 0.0, 0.0
    gaps = reference[picked][:, None] - reference[others]
    value = max(float(gaps.min(axis=0).max()), 0.0)
    if not noise.known:
        return value, np.nan, np.nan
    level = 1 - (1 - confidence) / gaps.size
    margins = noise.margin(np.repeat(picked, len(others)), np.tile(others, len(picked)), level)
    margins = margins.reshape(gaps.shape)
    # what no error is known of may lie anywhere
    low, high = ((gaps + sign * margins).min(axis=0).max() for sign in (-1, 1))
    return value, max(float(low), 0.0), max(float(high), 0.0)


@functools.lru_cache
def best_of(n: int) -> float:
    """How many standard deviations the best of n normal recipes is expected below their mean."""
    z = np.linspace(-10, 10, 20_001)
    normal = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    density = n * normal * np.exp((n - 1) * special.log_ndtr(z))
    return float(np.trapezoid(z * density, z))


def latent(accuracy: Array | float) -> Array:
    """The correlation of the normal copula with this decision accuracy: sin(π·(p − ½))."""
    return np.sin(np.pi * (np.asarray(accuracy, dtype=float) - 0.5))


def next_regret(accuracy: Array | float, sd: float, n: int) -> Array:
    """Next time: (1 − r)·sd·e_n, the expected loss of the proxy's pick of n above their best.

    Under a normal copula with r = `latent(accuracy)` and a reference of that sd over recipes the
    pick is expected r·e_n standard deviations below the mean, the best e_n (`best_of`).
    """
    return (1 - latent(accuracy)) * sd * best_of(n)


def next_bound(
    proxy: Array, reference: Array, confidence: float, found: Decisions | None = None
) -> float:
    """The smallest regret next time that is excluded with this confidence.

    `next_regret` with the lower of two one-sided bounds of r, that of the decisions and Pearson's,
    plus what resampling these very recipes loses: the copula knows nothing of clusters, tails and
    ties. `found` are their decisions, if they are known already. False in at most 6 %
    (tests/statistics/test_regrets.py) of normal, clustered and heavy-tailed populations, and of
    proxies rounded to 2, 3 and 5 levels; in 7 % with 5 levels at n = 25 and r = .99. NaN below four
    recipes.
    """
    n, found = len(reference), found or decisions(proxy, reference)
    if n < LEAST or not found.pairs:
        return np.nan
    bound = decision_bound(np.asarray(found.accuracy), n, confidence, found.pairs)
    low, _ = pearson_interval(proxy, reference, 2 * confidence - 1)
    r = np.fmin(latent(bound), low)
    sd = float(np.std(reference, ddof=1))
    return float((1 - r) * sd * best_of(n)) + resampled(proxy, reference)


def resampled(proxy: Array, reference: Array) -> float:
    """The mean regret of the pick among n recipes drawn from these n, with replacement.

    Of recipes that the proxy ties the worst is counted, as nothing tells them apart.
    """
    n = len(reference)
    beyond = (np.arange(n, -1, -1) / n) ** n  # chance that none of the best i is drawn
    weights = beyond[:-1] - beyond[1:]
    order = np.argsort(proxy, kind="stable")
    levels = np.unique(proxy, return_inverse=True)[1]
    worst = np.full(levels.max() + 1, -np.inf)
    np.maximum.at(worst, levels, reference)
    return float(weights @ worst[levels[order]] - weights @ np.sort(reference))


def slopes(larger: Array, smaller: Array, ratio: float) -> Array:
    """α of each recipe: −d ln L/d ln C between two scales, of which one has `ratio` times as much.

    NaN where a loss is not positive, the slope is not, or the compute is not known.
    """
    usable = (larger > 0) & (smaller > 0) & (ratio > 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.log(smaller / larger) / np.log(ratio)
    return np.where(usable & (found > 0), found, np.nan)


def as_compute(lost: Array, best: float, slope: float) -> Array:
    """The compute that makes up for losing `lost` above `best`, as a factor ≥ 1."""
    exponent = np.log1p(np.asarray(lost, dtype=float) / best) / slope
    return np.exp(np.minimum(exponent, 700))
