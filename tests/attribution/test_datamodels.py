"""Regression datamodels against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from proxyscale.attribution import datamodels

linear_model = pytest.importorskip("sklearn.linear_model")

PENALTIES = np.geomspace(0.01, 100, 9)


@pytest.fixture(scope="module")
def subsets() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Half subsets of 30 examples, and 4 outputs that few of them move."""
    rng = np.random.default_rng(0)
    masks = (rng.random((60, 30)).argsort(1) < 15).astype(float)
    effects = rng.normal(size=(30, 4)) * (rng.random((30, 4)) < 0.2)
    return masks, 3 + masks @ effects + 0.3 * rng.normal(size=(60, 4))


def test_ridge_is_scikit_learns(subsets: tuple[np.ndarray, np.ndarray]) -> None:
    masks, outputs = subsets
    found = datamodels.ridge(masks, outputs, PENALTIES)
    theirs = linear_model.RidgeCV(PENALTIES, alpha_per_target=True).fit(masks, outputs)
    np.testing.assert_array_equal(found.penalties, theirs.alpha_)
    np.testing.assert_allclose(found.coefficients, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(found.predict(masks), theirs.predict(masks), atol=1e-9)


def test_lasso_is_scikit_learns(subsets: tuple[np.ndarray, np.ndarray]) -> None:
    masks, outputs = subsets
    found = datamodels.lasso(masks, outputs)
    for column, output in enumerate(outputs.T):
        grid = datamodels.largest_penalties(masks, outputs)[column] * np.geomspace(1, 0.01, 20)
        theirs = linear_model.LassoCV(alphas=grid, cv=5, tol=1e-8, max_iter=100_000)
        theirs.fit(masks, output)
        assert found.penalties[column] == pytest.approx(theirs.alpha_)
        np.testing.assert_allclose(found.coefficients[column], theirs.coef_, atol=1e-5)
        assert found.intercepts[column] == pytest.approx(theirs.intercept_, abs=1e-4)


def test_lasso_with_more_examples_than_subsets() -> None:
    rng = np.random.default_rng(1)
    masks = (rng.random((40, 100)) < 0.5).astype(float)
    outputs = masks[:, :3] @ np.array([[2.0], [-1.0], [1.0]]) + 0.1 * rng.normal(size=(40, 1))
    found = datamodels.lasso(masks, outputs)
    theirs = linear_model.Lasso(alpha=found.penalties[0], tol=1e-10, max_iter=1_000_000)
    theirs.fit(masks, outputs[:, 0])
    np.testing.assert_allclose(found.coefficients[0], theirs.coef_, atol=1e-4)


def test_outputs_do_not_touch_each_other(subsets: tuple[np.ndarray, np.ndarray]) -> None:
    masks, outputs = subsets
    together = datamodels.lasso(masks, outputs).coefficients
    alone = [datamodels.lasso(masks, outputs[:, [t]]).coefficients[0] for t in range(4)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_nothing_is_left_at_the_largest_penalty(subsets: tuple[np.ndarray, np.ndarray]) -> None:
    masks, outputs = subsets
    largest = datamodels.largest_penalties(masks, outputs)
    for factor, empty in ((1.001, True), (0.98, False)):
        fitted = [
            linear_model.Lasso(alpha=factor * alpha).fit(masks, output).coef_
            for alpha, output in zip(largest, outputs.T, strict=True)
        ]
        assert all(np.all(coefficients == 0) == empty for coefficients in fitted)
