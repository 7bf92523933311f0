"""From mixture weights to losses: a Gaussian process for every loss.

    y = log L, standardized; a metric with values ≤ 0 stays as it is
    x = w^(1/3), w the shares of the sources, which sum to 1: the root spreads small shares apart
    k(x, x′) = s²·Matérn-5/2(r) + v·⟨x − x̄, x′ − x̄⟩ / mean‖x − x̄‖² + (noise + 1e-6)·[x is x′]
    r² = Σ_k ((x_k − x′_k) / ℓ_k)²

The hyperparameters are the posterior's mode under weak priors, from a random subset of at most
`FITTED` mixtures; the process is then conditioned on all of them. Rasmussen and Williams, Gaussian
Processes for Machine Learning (2006), sections 2.2, 4.2 and 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import linalg, optimize

from proxyscale.statistics.grid import Array

FITTED = 192  # mixtures that hyperparameters are fitted on, at most
JITTER = 1e-6
# Mean and standard deviation of the priors: of log s², log v, log noise; of the mean of
# log(1 / ℓ_k) + log(median distance); of each log(1 / ℓ_k) about that mean.
PRIOR_MEAN = np.array([0.0, np.log(0.5), np.log(0.01), 0.0])
PRIOR_SD = np.array([1.5, 1.5, 2.0, 1.5])
SCALED_SD = 1.0
ROOT5 = np.sqrt(5.0)


def features(weights: Array) -> Array:
    """Shares [mixtures, sources], of any positive total → cube roots of shares that sum to 1."""
    return np.asarray(np.cbrt(weights / weights.sum(axis=1, keepdims=True)))


def _squares(a: Array, b: Array) -> Array:
    """Squared distances of all rows of `a` from all rows of `b`."""
    found = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.asarray(np.maximum(found, 0.0))


def _matern(squares: Array) -> Array:
    """Matérn-5/2 at squared scaled distances."""
    r = ROOT5 * np.sqrt(squares)
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


@dataclass(frozen=True)
class Process:
    """One loss as a function of the mixture, conditioned on what was trained."""

    logarithmic: bool
    center: float  # of y before it was standardized
    scale: float
    inverse_lengths: Array  # [sources]
    matern: float  # s²
    linear: float  # v ÷ mean‖x − x̄‖²
    noise: float  # variance of one run, of the standardized y
    x: Array  # [mixtures, sources]
    mean: Array  # x̄
    factor: tuple[Array, bool]  # Cholesky factor of the mixtures' covariance
    dual: Array  # its inverse times y

    def _covariance(self, x: Array) -> Array:
        scaled = _squares(x * self.inverse_lengths, self.x * self.inverse_lengths)
        linear = (x - self.mean) @ (self.x - self.mean).T
        return np.asarray(self.matern * _matern(scaled) + self.linear * linear)

    def _raw(self, y: Array) -> Array:
        return self.center + self.scale * y

    def predict(self, weights: Array) -> Array:
        """Expected value of y, not standardized: log loss, or the metric: [mixtures]."""
        return self._raw(self._covariance(features(weights)) @ self.dual)

    def deviation(self, weights: Array) -> Array:
        """The process's standard deviation at mixtures, noise left out, in units of `predict`."""
        x = features(weights)
        across = self._covariance(x)
        own = self.matern + self.linear * ((x - self.mean) ** 2).sum(axis=1)
        known = (across * linalg.cho_solve(self.factor, across.T).T).sum(axis=1)
        return np.asarray(self.scale * np.sqrt(np.maximum(own - known, 0.0)))


def fit(
    weights: Array, losses: Array, *, logarithmic: bool | None = None, seed: int = 0
) -> Process:
    """A process for one loss.

    `weights` [mixtures, sources]: shares, ≥ 0, rows of any positive total; `losses` [mixtures],
    their logarithms where all are positive, unless `logarithmic` says it. `seed` chooses the
    mixtures that hyperparameters are fitted on, where there are many.
    """
    x = features(weights)
    logarithmic = bool((losses > 0).all()) if logarithmic is None else logarithmic
    y = np.log(losses) if logarithmic else losses.astype(float)
    center, scale = float(y.mean()), float(y.std()) or 1.0
    y = (y - center) / scale
    mean = x.mean(axis=0)
    spread = float(((x - mean) ** 2).sum(axis=1).mean()) or 1.0
    chosen = np.random.default_rng(seed).permutation(len(x))[:FITTED]
    theta = _mode(x[chosen], y[chosen], mean, spread)
    (matern, linear, noise), lengths = np.exp(theta[:3]), np.exp(theta[3:])
    covariance = matern * _matern(_squares(x * lengths, x * lengths))
    covariance += linear / spread * (x - mean) @ (x - mean).T
    covariance[np.diag_indices(len(x))] += noise + JITTER
    factor = linalg.cho_factor(covariance, lower=True)
    dual = linalg.cho_solve(factor, y)
    return Process(
        logarithmic, center, scale, lengths, matern, linear / spread, noise, x, mean, factor, dual
    )


def _mode(x: Array, y: Array, mean: Array, spread: float) -> Array:
    """log s², log v, log noise and log 1/ℓ_k at the posterior's mode."""
    distances = np.sqrt(_squares(x, x)[np.triu_indices(len(x), 1)])
    median = float(np.median(distances[distances > 0])) if (distances > 0).any() else 1.0
    start = np.concatenate([PRIOR_MEAN[:3], np.full(x.shape[1], -np.log(median))])
    linear = (x - mean) @ (x - mean).T / spread
    found = optimize.minimize(
        _objective,
        start,
        args=(x, y, linear, np.log(median)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 60, "ftol": 1e-5},
    )
    mode: Array = found.x
    return mode


def _objective(
    theta: Array, x: Array, y: Array, linear: Array, median: float
) -> tuple[float, Array]:
    """Negative log posterior and its gradient, by θ = (log s², log v, log noise, log 1/ℓ_k)."""
    matern, v, noise = np.exp(theta[:3])
    scaled = x * np.exp(theta[3:])
    r = ROOT5 * np.sqrt(_squares(scaled, scaled))
    decay = np.exp(-r)
    shape = (1 + r + r**2 / 3) * decay
    covariance = matern * shape + v * linear
    diagonal = np.diag_indices(len(x))
    covariance[diagonal] += noise + JITTER
    try:
        lower = linalg.cholesky(covariance, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return 1e25, np.zeros_like(theta)
    inverse, _ = linalg.lapack.dpotri(lower, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    dual = inverse @ y
    value = 0.5 * y @ dual + np.log(lower[diagonal]).sum()
    push = 0.5 * (inverse - np.outer(dual, dual))  # d value / d covariance
    slope = -(5 / 6) * matern * (1 + r) * decay * push  # by the squared scaled distance
    gradient = np.empty_like(theta)
    gradient[0] = matern * (push * shape).sum()
    gradient[1] = v * (push * linear).sum()
    gradient[2] = noise * np.trace(push)
    # Σ_ij slope_ij (x_ik − x_jk)², for every k at once
    moved = slope.sum(1) @ scaled**2 - (scaled * (slope @ scaled)).sum(0)
    gradient[3:] = 4 * moved
    mean = theta[3:].mean()
    hyper = np.append(theta[:3], mean + median)
    away, own = (hyper - PRIOR_MEAN) / PRIOR_SD, (theta[3:] - mean) / SCALED_SD
    value += 0.5 * (away @ away + own @ own)
    gradient[:3] += away[:3] / PRIOR_SD[:3]
    gradient[3:] += own / SCALED_SD + away[3] / PRIOR_SD[3] / len(own)
    return float(value), gradient


class Model(Protocol):
    """What foretells one loss of mixtures: a process, or one with another scale's on top."""

    @property
    def logarithmic(self) -> bool: ...

    def predict(self, weights: Array) -> Array: ...

    def deviation(self, weights: Array) -> Array: ...


def fit_all(weights: Array, losses: Array, *, seed: int = 0) -> list[Process]:
    """A process for each column of `losses` [mixtures, tasks]."""
    return [fit(weights, column, seed=seed) for column in losses.T]


def predicted_losses(models: Sequence[Model], weights: Array, deviations: float = 0.0) -> Array:
    """Expected losses at mixtures, or so many standard deviations above: [mixtures, tasks]."""
    found = []
    for model in models:
        y = model.predict(weights)
        if deviations:
            y = y + deviations * model.deviation(weights)
        found.append(np.exp(y) if model.logarithmic else y)
    return np.stack(found, axis=1)
