"""Populations of recipes: losses of proxy and reference [repeats, n], with Pearson r or near it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Losses = tuple[np.ndarray, np.ndarray]
Population = Callable[[np.random.Generator, int, int, float], Losses]
FAR = 0.75  # share of the variance that lies between clusters
EDGES = {2: [0.0], 3: [-0.6, 0.6], 5: [-1.0, -0.3, 0.3, 1.0]}


def normal(rng: np.random.Generator, repeats: int, n: int, r: float) -> Losses:
    """Bivariate normal losses."""
    x, e = rng.standard_normal((2, repeats, n))
    return x, r * x + np.sqrt(1 - r * r) * e


def clustered(rng: np.random.Generator, repeats: int, n: int, r: float, far: float = FAR) -> Losses:
    """Three equally likely far-apart sources: Pearson r over all, (r − far)/(1 − far) within."""
    within = (r - far) / (1 - far)
    centre = rng.integers(-1, 2, (repeats, n)) * np.sqrt(1.5 * far)
    x, y = normal(rng, repeats, n, within)
    return centre + np.sqrt(1 - far) * x, centre + np.sqrt(1 - far) * y


def coin_tosses(rng: np.random.Generator, repeats: int, n: int, r: float) -> Losses:
    """Clusters within which the proxy knows nothing: all of r lies between them."""
    return clustered(rng, repeats, n, r, far=r)


def heavy(rng: np.random.Generator, repeats: int, n: int, r: float) -> Losses:
    """Student's t with three degrees of freedom, both losses far off at once."""
    scale = np.sqrt(3 / rng.chisquare(3, (repeats, n)))
    x, y = normal(rng, repeats, n, r)
    return scale * x, scale * y


def skewed(rng: np.random.Generator, repeats: int, n: int, r: float) -> Losses:
    """Exponentials of normal losses."""
    x, y = normal(rng, repeats, n, r)
    return np.exp(0.7 * x), np.exp(0.7 * y)


def far_kind(rng: np.random.Generator, repeats: int, n: int, r: float) -> Losses:
    """One recipe in ten lies far off at both scales."""
    x, y = normal(rng, repeats, n, r)
    kind = 4 * (rng.random((repeats, n)) < 0.1)
    return x + kind, y + kind


def few_digits(rng: np.random.Generator, repeats: int, n: int, r: float) -> Losses:
    """Losses of few digits: ties, and exact lines among few."""
    x, y = (np.round(2 * v) / 2 for v in normal(rng, repeats, n, r))
    return x, y


def rounded(levels: int) -> Population:
    """A proxy that tells no more than 2, 3 or 5 levels apart."""

    def population(rng: np.random.Generator, repeats: int, n: int, r: float) -> Losses:
        x, y = normal(rng, repeats, n, r)
        return np.digitize(x, EDGES[levels]).astype(float), y

    return population
