"""What is known of recipes on a ladder of scales: a normal model of their values at all of them.

Values are standardized by scale over recipes; true ones are normal with correlations R between
scales, a run adds its scale's seed noise. R comes from recipes that two scales share, where these
are a chosen part by the regression on the scale that has most (Pearson's correction for selection);
for other pairs from v = 1 − r² = ν + κ·ln(C_j/C_i), as `forecast` has it. Where no scale has a
second run, noise is what ν leaves unexplained: two scales without a gap would differ by it alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from proxyscale.statistics.forecast import LEAST, law_of_gaps
from proxyscale.statistics.grid import Array

SHARED = 6  # recipes that two scales must share for a correlation
EIGEN = 1e-4  # least eigenvalue of R
EXACT = 1e-6  # variance of a run where no noise is known, of standardized values
UNKNOWN = 0.8  # r of neighbours where no two scales share enough; nothing is planned by it


@dataclass(frozen=True)
class Ladder:
    """What was measured of recipes, lower is better; scales from the cheapest to the dearest."""

    scales: list[str]
    recipes: list[str]
    compute: Array  # [scales] FLOPs of one run
    values: Array  # [scales, recipes] means over runs; NaN where none was trained
    counts: Array  # [scales, recipes] runs
    noise: Array  # [scales] variance of one run; NaN where unknown
    target: int  # the scale that is decided for


@dataclass(frozen=True)
class Known:
    """The model: standardized values, their precisions, the correlations of scales."""

    y: Array  # [recipes, scales], 0 where not measured
    precision: Array  # [recipes, scales], 0 where not measured
    run_variance: Array  # [scales] of one run, standardized
    correlations: Array  # [scales, scales], of true values
    shared: int  # recipes that the correlations rest on; 0 if they are a guess
    sd: float  # of true values at the target, in the values' own unit

    def posterior(self, correlations: Array | None = None) -> tuple[Array, Array]:
        """Mean [recipes, scales] and covariance [recipes, scales, scales] of true values."""
        R = self.correlations if correlations is None else correlations
        inverse = np.linalg.inv(R)
        covariance = np.linalg.inv(inverse + self.precision[:, :, None] * np.eye(len(R)))
        return np.einsum("rij,rj->ri", covariance, self.precision * self.y), covariance

    def drawn_correlations(self, rng: np.random.Generator) -> Array:
        """R as uncertain as Fisher's z of so many shared recipes, up or down as a whole."""
        z = np.arctanh(np.clip(self.correlations, -0.9999, 0.9999))
        z = z + rng.standard_normal() / np.sqrt(max(self.shared - 3, 1))
        return proper(np.tanh(z))

    def with_recipes(self, count: int) -> Known:
        """So many recipes more, of which nothing is known."""
        more = np.zeros((count, self.y.shape[1]))
        y, precision = np.vstack([self.y, more]), np.vstack([self.precision, more])
        return replace(self, y=y, precision=precision)


def proper(correlations: Array) -> Array:
    """The matrix with a diagonal of 1 and no eigenvalue near 0 or below."""
    matrix = correlations.copy()
    np.fill_diagonal(matrix, 1)
    values, vectors = np.linalg.eigh(matrix)
    matrix = (vectors * np.maximum(values, EIGEN)) @ vectors.T
    scale = np.sqrt(np.diag(matrix))
    return np.asarray(matrix / scale / scale[:, None])


def known_of(ladder: Ladder) -> Known:
    """The model of a ladder of which one scale at least has two recipes."""
    there = np.isfinite(ladder.values)
    base = int(np.flatnonzero(there.sum(axis=1) == there.sum(axis=1).max())[-1])
    mean, sd, r = _standards(ladder, base)
    if not np.isfinite(ladder.noise).any():
        ladder = replace(ladder, noise=_nugget(r, there, ladder.compute) * sd**2)
        mean, sd, r = _standards(ladder, base)
    run_variance = np.nan_to_num(ladder.noise / sd**2, nan=EXACT)
    run_variance = np.maximum(run_variance, EXACT)
    y = np.where(there, (ladder.values - mean[:, None]) / sd[:, None], 0.0)
    precision = np.where(there, ladder.counts / run_variance[:, None], 0.0)
    shared = _shared(there)
    pairs = shared[np.triu_indices(len(sd), 1)]
    least = int(pairs[pairs >= SHARED].min()) if (pairs >= SHARED).any() else 0
    return Known(y.T, precision.T, run_variance, r, least, float(sd[ladder.target]))


def _nugget(r: Array, there: Array, compute: Array) -> float:
    """The share of variance over recipes that is noise, from how alike scales are without a gap.

    Of correlations r of noisy values; 1 − ν is the square of what is no noise. A single pair tells
    no ν: it is half of its v.
    """
    i, j = np.triu_indices(len(compute), 1)
    seen = _shared(there)[i, j] >= SHARED
    if not seen.any():
        return 0.0
    v, gaps = 1 - r[i, j][seen] ** 2, np.abs(np.log(compute[j] / compute[i]))[seen]
    constant = law_of_gaps(v, gaps)[0] if seen.sum() > 1 else float(v[0]) / 2
    return float(1 - np.sqrt(max(1 - constant, 0.0)))


def _shared(there: Array) -> Array:
    """Recipes that two scales both have: [scales, scales]."""
    counts = there.astype(int)
    return np.asarray(counts @ counts.T)


def _standards(ladder: Ladder, base: int) -> tuple[Array, Array, Array]:
    """Mean and sd of true values of every scale over all recipes, and R.

    `base`: the scale that has most recipes.
    """
    there, scales = np.isfinite(ladder.values), len(ladder.scales)
    noise, counts = np.nan_to_num(ladder.noise), np.maximum(ladder.counts, 1)
    own = ladder.values[base, there[base]]
    whole = float(np.std(own, ddof=1)) or 1.0
    z = (ladder.values[base] - own.mean()) / whole
    reliable = _reliability(whole**2, noise[base], counts[base, there[base]])
    mean, sd = np.full(scales, own.mean()), np.full(scales, whole * np.sqrt(reliable))
    known = _shared(there) >= SHARED
    v = np.zeros((scales, scales))
    for i, j in np.stack(np.triu_indices(scales, 1), axis=1).tolist():
        if known[i, j] and base not in (i, j):
            v[i, j] = v[j, i] = _of_pair(ladder, i, j, noise, counts)
    for j in np.flatnonzero(known[base] & (np.arange(scales) != base)):
        both = there[base] & there[j]
        error = float((noise[j] / counts[j, both]).mean())
        mean[j], slope, sd[j] = _line(z[both], ladder.values[j, both], error)
        r = slope / np.sqrt(reliable) / sd[j]
        v[base, j] = v[j, base] = 1 - min(max(r, 0.0), 1.0) ** 2
    r = _filled(np.clip(v, LEAST, 1), known, ladder.compute)
    for j in np.flatnonzero(~known[base] & there.any(axis=1) & (np.arange(scales) != base)):
        both = there[j] & there[base]
        level = ladder.values[j, there[j]].mean()
        mean[j] = level - (r[base, j] * sd[j] * z[both].mean() if both.any() else 0.0)
    return mean, sd, r


def _line(x: Array, y: Array, error: float) -> tuple[float, float, float]:
    """Level, slope and true sd of y over recipes of whom x is standardized.

    `error`: the variance of y that is seed noise.
    """
    slope = float(np.cov(x, y)[0, 1] / (np.var(x, ddof=1) or 1.0))
    level = float(y.mean() - slope * x.mean())
    left = float(((y - level - slope * x) ** 2).sum() / max(len(y) - 2, 1))
    total = slope**2 + left
    return level, slope, float(np.sqrt(max(total - error, 0.05 * total))) or 1.0


def _reliability(variance: float, noise: float, counts: Array) -> float:
    """Share of the variance over recipes that is not seed noise."""
    error = float((noise / counts).mean())
    return max(1 - error / variance, 0.05) if variance > 0 else 1.0


def _of_pair(ladder: Ladder, i: int, j: int, noise: Array, counts: Array) -> float:
    """v of two scales from the recipes that both have, freed of seed noise."""
    both = np.isfinite(ladder.values[i]) & np.isfinite(ladder.values[j])
    x, y = ladder.values[i, both], ladder.values[j, both]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 1.0
    r = float(np.corrcoef(x, y)[0, 1])
    for values, scale in ((x, i), (y, j)):
        r /= np.sqrt(_reliability(float(np.var(values, ddof=1)), noise[scale], counts[scale, both]))
    return 1 - min(max(r, 0.0), 1.0) ** 2


def _filled(v: Array, known: Array, compute: Array) -> Array:
    """R; of pairs whose v is not known, by their gap of log compute."""
    i, j = np.triu_indices(len(v), 1)
    gaps = np.abs(np.log(compute[:, None] / compute))
    seen = known[i, j]
    if seen.any():
        constant, slope = law_of_gaps(v[i, j][seen], gaps[i, j][seen])
        if seen.sum() == 1:
            constant = max(constant, float(v[i, j][seen][0]) / 2)
        guess = np.clip(constant + slope * gaps, LEAST, 1)
    else:
        guess = np.full(v.shape, 1 - UNKNOWN**2)
    return proper(np.sqrt(1 - np.where(known, v, guess)))
