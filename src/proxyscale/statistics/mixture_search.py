"""The mixture within caps that is liked best: shares exchanged in pairs, from many starts.

Random draws meet tight caps almost never; every mixture here is moved inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.statistics.grid import Array

Prediction = Callable[[Array], Array]  # mixtures [n, sources] → what is minimized [n]

DRAWN = 2_000  # mixtures that are looked at before the best are improved
STARTS = 8
STEPS = (0.16, 0.08, 0.04, 0.02, 0.01, 0.005)  # shares exchanged, in turn
MOST_EXCHANGES = 60  # of one size of step
TOLERANCE = 1e-9
NEAR = 1e-3  # of a share: mixtures that were trained are rounded


@dataclass(frozen=True)
class Caps:
    """Least and largest share of every source: [sources] each."""

    low: Array
    high: Array
    names: Sequence[str] = ()  # of the sources, for errors

    def __post_init__(self) -> None:
        if (self.low > self.high + TOLERANCE).any():
            source = int(np.argmax(self.low - self.high))
            name = self.names[source] if self.names else f"source {source}"
            raise UserError(f"{name}: its floor is above its cap", where="caps")
        if self.low.sum() > 1 + TOLERANCE or self.high.sum() < 1 - TOLERANCE:
            raise UserError(
                f"no mixture fits: floors add up to {self.low.sum():.3g}, "
                f"caps to {self.high.sum():.3g}",
                where="caps",
                hint="allow more passes over the sources, or fewer tokens",
            )

    def hold(self, weights: Array) -> Array:
        """Which mixtures [n, sources] lie within the caps: [n]."""
        within = (weights >= self.low - NEAR) & (weights <= self.high + NEAR)
        return np.asarray(within.all(axis=1))

    def moved_inside(self, weights: Array) -> Array:
        """The nearest shares within the caps, each row summing to 1: [mixtures, sources].

        Euclidean projection: one number is taken off every share, found by bisection.
        """
        low = weights.min(axis=1) - self.high.max() - 1
        high = weights.max(axis=1) - self.low.min() + 1
        for _ in range(60):
            middle = (low + high) / 2
            total = np.clip(weights - middle[:, None], self.low, self.high).sum(axis=1)
            low, high = np.where(total > 1, middle, low), np.where(total > 1, high, middle)
        found: Array = np.clip(weights - ((low + high) / 2)[:, None], self.low, self.high)
        return found


def optimum(predict: Prediction, trained: Array, caps: Caps, rng: np.random.Generator) -> Array:
    """The mixture within the caps that `predict` likes best: [sources].

    From the best of trained and random mixtures, moved inside the caps, shares are exchanged
    between two sources, the best pair each time, by smaller and smaller steps.
    """
    strength = np.exp(rng.uniform(np.log(0.3), np.log(30), (DRAWN, 1)))
    centers = trained[rng.integers(len(trained), size=DRAWN)]
    drawn = rng.standard_gamma(strength * (centers + 0.02)) + 1e-12
    drawn /= drawn.sum(axis=1, keepdims=True)
    mixtures = caps.moved_inside(np.concatenate([trained, drawn]))
    order = np.argsort(predict(mixtures), kind="stable")
    found = np.stack([_improved(predict, mixtures[i], caps) for i in order[:STARTS]])
    best: Array = found[np.argmin(predict(found))]
    return best


def _improved(predict: Prediction, mixture: Array, caps: Caps) -> Array:
    """A mixture after all exchanges of two shares that lower what is predicted."""
    value = predict(mixture[None])[0]
    for step in STEPS:
        for _ in range(MOST_EXCHANGES):
            others = _exchanges(mixture, caps, step)
            if not len(others):
                break
            values = predict(others)
            best = int(np.argmin(values))
            if values[best] >= value - TOLERANCE:
                break
            mixture, value = others[best], values[best]
    return mixture


def _exchanges(mixture: Array, caps: Caps, step: float) -> Array:
    """All mixtures one exchange away, as far as the caps allow: [exchanges, sources]."""
    given, taken = mixture - caps.low, caps.high - mixture
    moved = np.minimum(np.minimum(given[:, None], taken[None, :]), step)
    np.fill_diagonal(moved, 0)
    source, target = np.nonzero(moved > TOLERANCE)
    amount = moved[source, target]
    rows = np.arange(len(source))
    others = np.repeat(mixture[None], len(source), axis=0)
    others[rows, source] -= amount
    others[rows, target] += amount
    found: Array = np.maximum(others, 0.0)
    return found
