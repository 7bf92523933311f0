"""Ladders of scales: losses [scales, recipes] without noise, cheapest first, and their compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Ladder = Callable[[np.random.Generator, int, np.ndarray], np.ndarray]


def compute_of(scales: int, ratio: float = 8.0) -> np.ndarray:
    return ratio ** np.arange(scales) * 1e15


def laws(rng: np.random.Generator, n: int, compute: np.ndarray) -> np.ndarray:
    """E + A·C^−α, of which recipes cross."""
    floor = 2 + 0.15 * rng.standard_normal(n)
    exponent = 0.15 * np.exp(0.15 * rng.standard_normal(n))
    factor = 2 * np.exp(0.15 * rng.standard_normal(n))
    return floor + factor * (compute[:, None] / compute[0]) ** -exponent


def ornstein_uhlenbeck(
    rng: np.random.Generator, n: int, compute: np.ndarray, length: float = 12.0
) -> np.ndarray:
    """Recipes that drift in log compute and forget over `length`."""
    z = [rng.standard_normal(n)]
    for step in np.diff(np.log(compute)):
        kept = np.exp(-step / length)
        z.append(kept * z[-1] + np.sqrt(1 - kept**2) * rng.standard_normal(n))
    return 3 - 0.1 * np.log(compute / compute[0])[:, None] + 0.2 * np.stack(z)


def parallel(rng: np.random.Generator, n: int, compute: np.ndarray) -> np.ndarray:
    """One order at every scale."""
    fall = 3 * (compute / compute[0]) ** -0.08
    return fall[:, None] + 0.2 * rng.standard_normal(n)


LADDERS: dict[str, Ladder] = {
    "laws": laws,
    "ornstein_uhlenbeck": ornstein_uhlenbeck,
    "parallel": parallel,
}


def with_noise(rng: np.random.Generator, losses: np.ndarray, share: float) -> np.ndarray:
    """One run of each: noise of this share of the recipes' sd at the scale."""
    sd = losses.std(axis=1, ddof=1, keepdims=True)
    return losses + share * sd * rng.standard_normal(losses.shape)
