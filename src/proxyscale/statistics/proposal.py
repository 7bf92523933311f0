"""The mixture to train on: the best under an objective within caps, and how far to believe it.

Mixtures were trained at one scale, a loss each on every task; `mixture_model` says what others
would lose. RegMix (2407.01492) proposes in this way by a linear form or LightGBM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.statistics.grid import Array
from proxyscale.statistics.mixture_model import Process, fit_all, predicted_losses

Objective = Callable[[Array], Array]  # losses [mixtures, tasks] → what is minimized [mixtures]
Prediction = Callable[[Array], Array]  # mixtures [n, sources] → what is minimized [n]

DRAWN = 2_000  # mixtures that are looked at before the best are improved
STARTS = 8
STEPS = (0.16, 0.08, 0.04, 0.02, 0.01, 0.005)  # shares exchanged, in turn
MOST_EXCHANGES = 60  # of one size of step
SPLITS = 5
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Caps:
    """Least and largest share of every source: [sources] each."""

    low: Array
    high: Array

    def __post_init__(self) -> None:
        if (self.low > self.high + TOLERANCE).any():
            source = int(np.argmax(self.low - self.high))
            raise UserError(f"source {source}: its floor is above its cap", where="caps")
        if self.low.sum() > 1 + TOLERANCE or self.high.sum() < 1 - TOLERANCE:
            raise UserError(
                f"no mixture fits: floors add up to {self.low.sum():.3g}, "
                f"caps to {self.high.sum():.3g}",
                where="caps",
                hint="allow more passes over the sources, or fewer tokens",
            )

    def moved_inside(self, weights: Array) -> Array:
        """The nearest shares within the caps, each row summing to 1: [mixtures, sources].

        Euclidean projection: one number is taken off every share, found by bisection.
        """
        low, high = weights.min(1) - self.high.max() - 1, weights.max(1) - self.low.min() + 1
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
    return np.maximum(others, 0.0)


def optimism(
    weights: Array, losses: Array, objective: Objective, caps: Caps, rng: np.random.Generator
) -> float:
    """How much too low a prediction at its own optimum is, in units of the objective.

    The optimum of a fit on one half of the mixtures is read off a fit on the other half, which
    had no part in choosing it; the mean of both ways of `SPLITS` splits. The process's own
    standard deviation does not know of the choice.
    """
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(len(weights))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        fits = [_prediction(fit_all(weights[h], losses[h]), objective) for h in halves]
        for own, other, half in ((0, 1, halves[0]), (1, 0, halves[1])):
            best = optimum(fits[own], weights[half], caps, rng)[None]
            found.append(fits[other](best)[0] - fits[own](best)[0])
    return float(np.mean(found))


def _prediction(processes: Sequence[Process], objective: Objective) -> Prediction:
    return lambda weights: objective(predicted_losses(processes, weights))


def residuals(
    weights: Array, losses: Array, objective: Objective, rng: np.random.Generator
) -> Array:
    """What mixtures left out of the fit come to, less what was foretold: [mixtures].

    Of the logarithm of the objective where it is positive. Folds: 8 up to 32 mixtures, else 5; all
    is fitted anew for each.
    """
    folds = 8 if len(weights) <= 32 else 5
    fold = rng.permutation(len(weights)) % folds
    foretold = np.empty(len(weights))
    for number in range(folds):
        rest = fold != number
        predict = _prediction(fit_all(weights[rest], losses[rest]), objective)
        foretold[~rest] = predict(weights[~rest])
    actual = objective(losses)
    if (actual > 0).all() and (foretold > 0).all():
        return np.log(actual) - np.log(foretold)
    left: Array = actual - foretold
    return left


def half_width(errors: Array, confidence: float) -> float:
    """What |error| of a new mixture stays below: the conformal quantile of those left out."""
    rank = int(np.ceil((len(errors) + 1) * confidence))
    return float(np.sort(np.abs(errors))[min(rank, len(errors)) - 1])


@dataclass(frozen=True)
class Proposal:
    """A mixture and what it promises, in units of the objective; lower is better."""

    weights: Array  # [sources]
    predicted: float  # optimism added
    low: float
    high: float
    best_trained: int  # the trained mixture that comes out best
    best_predicted: float  # of that mixture, by the fit
    optimism: float
    distance: float  # total variation from the nearest trained mixture, 0 to 1
    losses: Array  # [tasks], expected at the mixture

    @property
    def gain(self) -> float:
        """What the objective is expected to fall by, against the best trained mixture."""
        return self.best_predicted - self.predicted

    @property
    def sure_gain(self) -> float:
        """The gain less the interval's half: what is left if the prediction is too good."""
        return self.best_predicted - self.high


def propose(
    weights: Array,
    losses: Array,
    objective: Objective,
    caps: Caps,
    *,
    confidence: float = 0.9,
    seed: int = 0,
    processes: Sequence[Process] | None = None,
) -> Proposal:
    """The best mixture within the caps.

    `weights` [mixtures, sources], rows summing to 1; `losses` [mixtures, tasks]. `processes`: what
    foretells losses, if not a fit of these. The interval is that of mixtures left out of the fit,
    and no narrower than two standard deviations of the process there.
    """
    rng = np.random.default_rng(seed)
    fitted = list(processes or fit_all(weights, losses, seed=seed))
    predict = _prediction(fitted, objective)
    best = optimum(predict, weights, caps, rng)
    expected = predicted_losses(fitted, best[None])
    added = max(optimism(weights, losses, objective, caps, rng), 0.0)
    predicted = float(objective(expected)[0]) + added
    errors = residuals(weights, losses, objective, rng)
    width = half_width(errors, confidence)
    if predicted > 0 and (objective(losses) > 0).all():
        width = predicted * float(np.expm1(width))
    spread = 2 * _deviation(fitted, best[None], expected, objective)
    width = max(width, spread)
    trained = int(np.argmin(objective(losses)))
    return Proposal(
        weights=best,
        predicted=predicted,
        low=predicted - width,
        high=predicted + width,
        best_trained=trained,
        best_predicted=float(predict(weights[trained][None])[0]),
        optimism=added,
        distance=float(np.abs(weights - best).sum(axis=1).min() / 2),
        losses=expected[0],
    )


def _deviation(
    processes: Sequence[Process], mixture: Array, expected: Array, objective: Objective
) -> float:
    """The objective's rise when every loss is one standard deviation above what is expected."""
    above = expected.copy()
    for task, process in enumerate(processes):
        one = process.deviation(mixture)
        above[:, task] = expected[:, task] * np.exp(one) if process.logarithmic else (
            expected[:, task] + one
        )
    return float((objective(above) - objective(expected))[0])
