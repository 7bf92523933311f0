"""The mixture to train on: the best under an objective within caps, and how far to believe it.

Mixtures were trained at one scale, a loss each on every task, and perhaps a few at a larger one;
`mixture_model` and `mixture_scales` say what others would lose. RegMix (2407.01492) proposes in
this way by a linear form or LightGBM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from proxyscale.statistics.grid import Array
from proxyscale.statistics.mixture_model import Model, fit, fit_all, predicted_losses
from proxyscale.statistics.mixture_scales import Transferred, transferred
from proxyscale.statistics.mixture_search import Caps, Prediction, optimum

Objective = Callable[[Array], Array]  # losses [mixtures, tasks] → what is minimized [mixtures]

SPLITS = 5
TINY = 1e-12
CONFIDENCE = 0.9  # of the intervals


@dataclass(frozen=True)
class Trained:
    """Mixtures and what they lost; a row of NaN where one was not trained at that scale."""

    weights: Array  # [mixtures, sources], rows summing to 1
    losses: Array  # [mixtures, tasks] at the scale that trained most
    larger: Array | None = None  # [mixtures, tasks] at the larger scale that is foretold

    def rows(self, chosen: Array) -> Trained:
        """Some of the mixtures."""
        larger = None if self.larger is None else self.larger[chosen]
        return Trained(self.weights[chosen], self.losses[chosen], larger)

    @property
    def measured(self) -> Array:
        """The losses that are foretold, as far as they were measured: [mixtures, tasks]."""
        return self.losses if self.larger is None else self.larger

    @property
    def known(self) -> Array:
        """Which mixtures have them: [mixtures]."""
        return np.asarray(np.isfinite(self.measured).all(axis=1))

    def models(self) -> list[Model]:
        """What foretells every loss."""
        if self.larger is None:
            return list(fit_all(self.weights, self.losses))
        return transferred(self.weights, self.losses, self.larger)


@dataclass(frozen=True)
class Halves:
    """What fits on halves of the mixtures say of each other."""

    optimism: float  # how much too low a prediction at its own optimum is, of the objective
    spearman: float  # of what a half foretells of the other with what that lost, at their scale


def halves(
    trained: Trained,
    models: Sequence[Model],
    objective: Objective,
    caps: Caps,
    best: Array,
    rng: np.random.Generator,
) -> Halves:
    """The optimum of a fit on one half, read off a fit on the other, which did not choose it.

    The mean of both ways of `SPLITS` splits. The process's own standard deviation does not know of
    the choice, but of how much better the whole knows than a half does: the mean is scaled by that
    of `models` at their optimum `best` [1, sources] over that of the halves at theirs. On simulated
    tables (8 each) it is .030, .002 and .008 nats too high at 16, 32 and 64 mixtures, unscaled
    .057, .007 and .013: a half of few mixtures reads its neighbour's optimum as an average one. On
    RegMix's 17 sources it is .033 too high, .030, .007 and .007 too low at 16, 32, 64 and 128.
    To a larger scale all halves go by the line and the rest of `models`.
    """
    there = np.flatnonzero(np.isfinite(trained.losses).all(axis=1))
    weights, losses = trained.weights[there], trained.losses[there]
    lost, spread, agreed = [], [], []
    for _ in range(SPLITS):
        order = rng.permutation(len(weights))
        parts = order[: len(order) // 2], order[len(order) // 2 :]
        fits = [_half(weights[part], losses[part], models) for part in parts]
        foretell = [_prediction(each, objective) for each in fits]
        for own, other in ((0, 1), (1, 0)):
            at = optimum(foretell[own], weights[parts[own]], caps, rng)[None]
            lost.append(foretell[other](at)[0] - foretell[own](at)[0])
            spread.append(_deviation(fits[own], objective, at))
            below = [m.small if isinstance(m, Transferred) else m for m in fits[own]]
            foretold = objective(predicted_losses(below, weights[parts[other]]))
            agreed.append(rank_agreement(foretold, objective(losses[parts[other]])))
    share = _deviation(models, objective, best) / max(float(np.mean(spread)), TINY)
    return Halves(float(np.mean(lost)) * min(share, 1.0), float(np.mean(agreed)))


def _deviation(
    models: Sequence[Model], objective: Objective, mixture: Array, sds: float = 1.0
) -> float:
    """What the objective rises by if all losses are so many standard deviations higher."""
    above, expected = (predicted_losses(models, mixture, each) for each in (sds, 0.0))
    return float(objective(above)[0] - objective(expected)[0])


def _half(weights: Array, losses: Array, models: Sequence[Model]) -> list[Model]:
    """A fit of some mixtures, the line and the rest to a larger scale as they are in `models`."""
    fitted: list[Model] = []
    for model, column in zip(models, losses.T, strict=True):
        process = fit(weights, column, logarithmic=model.logarithmic)
        above = Transferred(process, model.line) if isinstance(model, Transferred) else process
        fitted.append(above)
    return fitted


def rank_agreement(x: Array, y: Array) -> float:
    """Spearman's correlation; 0 where either is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(stats.spearmanr(x, y).statistic)


def _prediction(models: Sequence[Model], objective: Objective) -> Prediction:
    return lambda weights: objective(predicted_losses(models, weights))


def left_out(trained: Trained, rng: np.random.Generator) -> Array:
    """What is foretold of each mixture by a fit of others: [mixtures, tasks].

    Folds: 8 up to 32 mixtures, else 5; all is fitted anew for each.
    """
    folds = 8 if len(trained.weights) <= 32 else 5
    known = trained.known
    fold = np.zeros(len(known), dtype=np.int64)
    for rows in (np.flatnonzero(known), np.flatnonzero(~known)):
        fold[rows] = rng.permutation(len(rows)) % folds
    foretold = np.full(trained.losses.shape, np.nan)
    for number in np.unique(fold):
        mine = fold == number
        models = trained.rows(~mine).models()
        foretold[mine] = predicted_losses(models, trained.weights[mine])
    return foretold


def half_width(errors: Array, confidence: float) -> float:
    """What |error| of a new mixture stays below: the conformal quantile of those left out.

    Where these are too few for it, Student's t times their root mean square, and no less than the
    largest.
    """
    n = len(errors)
    rank = int(np.ceil((n + 1) * confidence - 1e-9))
    if rank <= n:
        return float(np.sort(np.abs(errors))[rank - 1])
    spread = special.stdtrit(n, (1 + confidence) / 2) * np.sqrt((errors**2).mean() * (1 + 1 / n))
    return float(max(spread, np.abs(errors).max()))


@dataclass(frozen=True)
class Proposal:
    """A mixture and what it promises, in units of the objective; lower is better."""

    weights: Array  # [sources]
    predicted: float  # optimism added
    low: float
    high: float
    best_trained: int  # the trained mixture of which most is expected, within the caps if any is
    allowed: bool  # whether it is
    best_predicted: float  # of that mixture, by the fit
    optimism: float
    distance: float  # total variation from the nearest trained mixture, 0 to 1
    losses: Array  # [tasks], expected at the mixture
    spearman: float  # of what is foretold of mixtures left out with what they lost
    half_spearman: float  # the same from half as many, at the scale that trained most
    predict: Prediction  # of any mixtures, the objective that is expected
    foretold: Array  # [measured mixtures], of each by a fit of others
    measured: Array  # [measured mixtures]

    @property
    def gain(self) -> float:
        """What the objective is expected to fall by, against the best trained mixture."""
        return self.best_predicted - self.predicted

    @property
    def sure_gain(self) -> float:
        """The gain less the interval's half: what is left if the prediction is too good."""
        return self.best_predicted - self.high


def propose(
    trained: Trained,
    objective: Objective,
    caps: Caps,
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Proposal:
    """The best mixture within the caps, at the scale of `trained.measured`.

    The interval is that of mixtures left out of the fit, of the objective's logarithm where it is
    positive, and no narrower than two standard deviations of the process at the proposal.
    """
    rng = np.random.default_rng(seed)
    weights, models = trained.weights, trained.models()
    predict = _prediction(models, objective)
    best = optimum(predict, weights, caps, rng)[None]
    parts = halves(trained, models, objective, caps, best, rng)
    predicted = float(predict(best)[0]) + max(parts.optimism, 0.0)
    known = trained.known
    actual = objective(trained.measured[known])
    foretold = objective(left_out(trained, rng)[known])
    width = max(
        _width(actual, foretold, predicted, confidence),
        _deviation(models, objective, best, 2.0),
    )
    expected, allowed = predict(weights), caps.hold(weights)
    champion = int(np.argmin(np.where(allowed | ~allowed.any(), expected, np.inf)))
    return Proposal(
        weights=best[0],
        predicted=predicted,
        low=predicted - width,
        high=predicted + width,
        best_trained=champion,
        allowed=bool(allowed[champion]),
        best_predicted=float(expected[champion]),
        optimism=max(parts.optimism, 0.0),
        distance=float(np.abs(weights - best).sum(axis=1).min() / 2),
        losses=predicted_losses(models, best)[0],
        spearman=rank_agreement(foretold, actual),
        half_spearman=parts.spearman,
        predict=predict,
        foretold=foretold,
        measured=actual,
    )


def _width(actual: Array, foretold: Array, predicted: float, confidence: float) -> float:
    """Half the interval about `predicted`, from mixtures left out of the fit."""
    if (actual > 0).all() and (foretold > 0).all() and predicted > 0:
        return predicted * float(np.expm1(half_width(np.log(actual / foretold), confidence)))
    return half_width(actual - foretold, confidence)
