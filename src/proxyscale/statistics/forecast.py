"""What to expect beyond the largest trained scale: a range, never part of a verdict.

Point: a scale below the largest, k, orders the recipes of a target as it orders those of k; k
itself as k − 1 orders k. On public ladders nothing beat it.

Lower end: the smaller of the decision interval's, and the 5 % quantile of draws of the target,

    t = √(1 − v)·z_k + √v·ε,   v = v_T·e^{.6ε}·(n − 2)/χ²_{n−2}, at most .98

z_k the losses of k, standardized over n recipes. v_T = ν + κ·ln(C_T/C_k), ν, κ ≥ 0 by least
squares of v = 1 − r² over all pairs of trained scales, r Pearson's of losses. It is false in at
most 5 % of simulated ladders whose recipes cross smoothly (tests/statistics/test_forecast.py), and
in a quarter to two fifths if a new regime begins beyond what was trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from proxyscale.statistics.grid import Array
from proxyscale.statistics.intervals import decision_interval
from proxyscale.statistics.measures import decisions, pearson
from proxyscale.statistics.scaling_laws import power_law

CONFIDENCE = 0.9  # of the decision interval; its lower end is one-sided at 95 %
QUANTILE = 0.05
DRAWS = 2_000
FEWEST = 10  # recipes
LEAST, MOST = 1e-5, 0.98  # of v
OFFSET = 0.003  # of v in the weights of least squares
SPREAD = 0.6  # of log v


@dataclass(frozen=True)
class Range:
    """Share of pairs that a scale orders as a larger, untrained one will."""

    expected: float
    least: float


@dataclass(frozen=True)
class Expected:
    """Losses at the target, by recipe, with 90 % intervals: [recipes] each."""

    losses: Array
    low: Array
    high: Array


def why_not(compute: Array, recipes: int, target: float) -> str | None:
    """Why nothing is foretold of the target; None if it can be.

    `compute` of the trained scales below it, ascending.
    """
    if len(compute) < 2:
        return "two trained scales or more below the target are needed"
    if recipes < FEWEST:
        return f"{FEWEST} recipes or more are needed, and there are {recipes}"
    if np.log(target / compute[-1]) > np.log(compute[-1] / compute[0]) + 1e-9:
        return (
            f"the target takes {target / compute[-1]:.3g} times the largest scale's compute, and "
            f"what was trained spans a factor of {compute[-1] / compute[0]:.3g}"
        )
    return None


def unexplained(x: Array, y: Array) -> float:
    """v = 1 − r² of the losses of two scales; 1 where they do not go together."""
    r = float(pearson(x, y))
    return float(np.clip(1 - r * r, LEAST, 1)) if r > 0 else 1.0


def law_of_gaps(v: Array, gaps: Array) -> tuple[float, float]:
    """ν and κ, 0 or more, of v = ν + κ·gap: weighted least squares over pairs of scales [pairs]."""
    weights = 1 / (v + OFFSET)
    design = np.stack([np.ones(len(v)), gaps], axis=1)
    (constant, slope), _ = optimize.nnls(design * weights[:, None], v * weights)
    return float(constant), float(slope)


def unexplained_at(losses: Array, compute: Array, target: float) -> float:
    """v_T of the largest trained scale and the target.

    `losses` [scales, recipes], cheapest first. Of a single pair it is half of that pair's at least.
    """
    i, j = np.triu_indices(len(compute), 1)
    v = np.array([unexplained(losses[a], losses[b]) for a, b in zip(i, j, strict=True)])
    constant, slope = law_of_gaps(v, np.log(compute[j] / compute[i]))
    found = constant + slope * np.log(target / compute[-1])
    return float(max(found, v[0] / 2) if len(v) == 1 else found)


def drawn_targets(
    losses: Array, compute: Array, target: float, rng: np.random.Generator, draws: int = DRAWS
) -> Array:
    """Draws of the target's losses, standardized: [draws, recipes]."""
    n = losses.shape[1]
    largest = losses[-1]
    z = (largest - largest.mean()) / (largest.std(ddof=1) or 1.0)
    v = unexplained_at(losses, compute, target) * np.exp(SPREAD * rng.standard_normal((draws, 1)))
    v = np.minimum(v * (n - 2) / rng.chisquare(n - 2, (draws, 1)), MOST)
    found: Array = np.sqrt(1 - v) * z + np.sqrt(v) * rng.standard_normal((draws, n))
    return found


def ranges(
    losses: Array, compute: Array, target: float, *, seed: int = 0, draws: int = DRAWS
) -> list[Range]:
    """For each trained scale, how it will order the recipes of the target.

    `losses` [scales, recipes], `compute` [scales], cheapest first. Only where `why_not` is None.
    """
    rng = np.random.default_rng(seed)
    n, last = losses.shape[1], len(compute) - 1
    drawn = drawn_targets(losses, compute, target, rng, draws)
    found = []
    for scale in range(last + 1):
        x, y = (scale, last) if scale < last else (last - 1, last)
        measured = decisions(losses[x], losses[y])
        expected = measured.accuracy
        low = decision_interval(np.asarray(expected), n, CONFIDENCE, measured.pairs)[0]
        of_draws = np.quantile(_right(losses[scale], drawn), QUANTILE)
        found.append(Range(expected, min(float(low), float(of_draws), expected)))
    return found


def _right(proxy: Array, targets: Array) -> Array:
    """Share of pairs that the proxy orders as each target [draws, n] does: [draws]."""
    i, j = np.triu_indices(len(proxy), 1)
    apart = np.sign(proxy[i] - proxy[j])
    agreed: Array = (1 + apart * np.sign(targets[:, i] - targets[:, j])).mean(axis=1) / 2
    return agreed


def expected_losses(losses: Array, compute: Array, target: float) -> Expected | None:
    """Each recipe's loss at the target, by a power law through its scales.

    The interval's half is Student's t times the error of scales left out, of log losses over scales
    and recipes. None below three scales, for a loss that is not positive, and where that error is
    no smaller than the spread between recipes at the largest scale.
    """
    if len(compute) < 3 or not (losses > 0).all():
        return None
    scales = np.arange(len(compute))
    errors = [
        np.log(power_law(compute[scales != s], losses[scales != s], compute[s]) / losses[s])
        for s in scales
    ]
    error = float(np.sqrt((np.array(errors) ** 2).mean()))
    if error >= np.log(losses[-1]).std(ddof=1):
        return None
    found = power_law(compute, losses, target)
    half = float(special.stdtrit(len(compute) - 1, (1 + CONFIDENCE) / 2)) * error
    return Expected(found, found * np.exp(-half), found * np.exp(half))


def told(scale: str, target: str, expected: float, least: float) -> str:
    """The range in a sentence."""
    return (
        f"If nothing new happens between here and {target}: {scale} orders about {expected:.0%} of "
        f"pairs right there, at least {least:.0%}."
    )
