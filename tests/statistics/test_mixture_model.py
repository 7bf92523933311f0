"""The Gaussian process: its gradient, its posterior, what it recovers, RegMix's figures."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern
from support.regmix import SIZES, drawn, mixtures, needs_regmix

from proxyscale.statistics import mixture_model
from proxyscale.statistics.mixture_model import fit, fit_all, predicted_losses

SOURCES = 4


def shares(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(SOURCES), n)


def law(weights: np.ndarray) -> np.ndarray:
    """Losses of a mixture: diminishing returns of every source, and one that hurts."""
    return 2 + 1.5 * np.exp(-4 * weights[:, 0]) + 0.5 * np.exp(-9 * weights[:, 1]) + weights[:, 3]


def test_the_gradient_of_the_log_posterior():
    rng = np.random.default_rng(0)
    x, y = mixture_model.features(shares(12, 1)), rng.standard_normal(12)
    centred = x - x.mean(axis=0)
    args = x, y, centred @ centred.T / 0.1, np.log(0.3)
    for theta in rng.normal(0, 0.7, (4, 3 + SOURCES)):
        found = mixture_model._objective(theta, *args)[1]
        expected = optimize.approx_fprime(theta, lambda t: mixture_model._objective(t, *args)[0])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_posterior_is_sklearns():
    weights, new = shares(20, 2), shares(7, 3)
    process = fit(weights, law(weights))
    kernel = ConstantKernel(process.matern) * Matern(1 / process.inverse_lengths, nu=2.5)
    kernel += ConstantKernel(process.linear) * DotProduct(1e-9)
    alpha = process.noise + mixture_model.JITTER
    oracle = GaussianProcessRegressor(kernel, alpha=alpha, optimizer=None)
    y = (np.log(law(weights)) - process.center) / process.scale
    oracle.fit(mixture_model.features(weights) - process.mean, y)
    mean, sd = oracle.predict(mixture_model.features(new) - process.mean, return_std=True)
    expected = process.center + process.scale * mean
    np.testing.assert_allclose(process.predict(new), expected, rtol=1e-6)
    np.testing.assert_allclose(process.deviation(new), process.scale * sd, rtol=1e-4)


def test_a_known_function_is_recovered():
    weights, new = shares(40, 4), shares(200, 5)
    noisy = law(weights) * np.exp(0.002 * np.random.default_rng(6).standard_normal(40))
    found = predicted_losses([fit(weights, noisy)], new)[:, 0]
    assert np.sqrt(((found - law(new)) ** 2).mean()) < 0.12 * law(new).std()
    within = np.abs(np.log(found / law(new))) < 3 * fit(weights, noisy).deviation(new)
    assert within.mean() > 0.9


def test_totals_of_weights_do_not_matter():
    weights, new = shares(12, 7), shares(5, 8)
    whole = fit(weights, law(weights)).predict(new)
    np.testing.assert_allclose(fit(100 * weights, law(weights)).predict(7 * new), whole)


def test_values_that_are_not_positive_stay_raw_and_equal_ones_are_foretold_as_such():
    weights, new = shares(12, 9), shares(5, 10)
    metric = -law(weights)
    process = fit(weights, metric)
    assert not process.logarithmic
    assert np.corrcoef(predicted_losses([process], new)[:, 0], -law(new))[0, 1] > 0.9
    np.testing.assert_allclose(predicted_losses([fit(weights, np.full(12, 3.0))], new), 3.0)


def test_deviations_are_added_to_the_logarithm():
    weights, new = shares(12, 11), shares(5, 12)
    process = fit(weights, law(weights))
    expected = np.exp(process.predict(new) + 2 * process.deviation(new))
    np.testing.assert_allclose(predicted_losses([process], new, 2.0)[:, 0], expected)


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    return float(stats.spearmanr(x, y).statistic)


EXPECTED = {  # 1M domains, nRMSE, 60M mean loss, 1B domains, rank of the pick at 60M
    16: (0.93, 0.36, 0.88, 0.91, None),
    32: (0.96, 0.26, 0.92, 0.93, None),
    64: (0.978, 0.20, 0.945, 0.94, 4),
    128: (0.985, 0.16, 0.955, 0.945, 4),
    512: (0.99, 0.12, 0.96, 0.95, 4),
}


@needs_regmix
@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
def test_regmix(n):
    weights, losses = mixtures("train", "1m")
    test, small = mixtures("test", "1m")
    middle = mixtures("test", "60m")[1].mean(axis=1)
    largest, large = mixtures("test", "1B")
    found = []
    for rep in range(SIZES[n]):
        rows = drawn(n, rep)
        started = time.process_time()
        models = fit_all(weights[rows], losses[rows])
        print(f"{n} mixtures: {time.process_time() - started:.2f} s")
        here, there = predicted_losses(models, test), predicted_losses(models, largest)
        mean = here.mean(axis=1)
        found.append(
            [
                np.mean([spearman(a, b) for a, b in zip(here.T, small.T, strict=True)]),
                (np.sqrt(((here - small) ** 2).mean(axis=0)) / small.std(axis=0)).mean(),
                spearman(mean, middle),
                np.mean([spearman(a, b) for a, b in zip(there.T, large.T, strict=True)]),
                1 + (middle < middle[np.argmin(mean)]).sum(),
            ]
        )
    agreed, error, at_middle, at_large, rank = np.mean(found, axis=0)
    least, most, least_middle, least_large, most_rank = EXPECTED[n]
    assert agreed >= least
    assert error <= most
    assert at_middle >= least_middle
    assert at_large >= least_large
    assert most_rank is None or rank <= most_rank
