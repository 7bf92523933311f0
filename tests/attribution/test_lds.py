"""LDS against scipy, its intervals and its ceiling by simulation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from proxyscale.attribution import lds


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=6), st.floats(0.1, 0.9), st.integers(0, 1000)
)
def test_subsets_are_stratified_and_of_one_size(
    sizes: list[int], fraction: float, draw: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    mask = lds.stratified_subset(labels, draw, fraction=fraction, seed=3)
    assert mask.sum() == int(fraction * len(labels))
    for name, size in enumerate(sizes):
        assert abs(mask[labels == name].sum() - fraction * size) < 1
    assert np.array_equal(mask, lds.stratified_subset(labels, draw, fraction=fraction, seed=3))


def test_every_example_is_as_likely_as_its_class_mates() -> None:
    labels = np.array([0] * 5 + [1] * 3)
    masks = [lds.stratified_subset(labels, draw, fraction=0.5, seed=0) for draw in range(2000)]
    assert np.allclose(np.mean(masks, 0), 0.5, atol=0.05)


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of 3 models, half subsets, and outputs that the scores foretell in part."""
    rng = np.random.default_rng(0)
    masks = (rng.random((24, 20)).argsort(1) < 10).astype(float)
    effects = rng.normal(size=(7, 20))
    scores = effects + 0.7 * rng.normal(size=(3, 7, 20))
    return scores, masks, masks @ effects.T + rng.normal(size=(24, 7))


def test_lds_is_scipys_spearman(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, masks, outputs = drawn
    expected = [
        stats.spearmanr(masks @ score, output).statistic
        for score, output in zip(scores[0], outputs.T, strict=True)
    ]
    np.testing.assert_allclose(lds.per_example(scores[0], masks, outputs), expected)
    assert lds.lds(scores[0], masks, outputs).value == pytest.approx(np.mean(expected))


def test_a_resample_is_scipys_spearman_of_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 6, (15, 3)).astype(float), rng.normal(size=(15, 3))
    counts = rng.multinomial(15, np.full(15, 1 / 15))
    rows, weights = np.repeat(np.arange(15), counts), counts.astype(float)
    ranks = [lds._Ranking(values).ranks(weights) for values in (left, right)]
    found = lds._correlations(*ranks, weights)
    expected = [stats.spearmanr(left[rows, t], right[rows, t]).statistic for t in range(3)]
    np.testing.assert_allclose(found, expected)


def test_a_prediction_that_says_nothing_scores_zero() -> None:
    labels = np.repeat([0, 1], 6)
    masks = np.array([lds.stratified_subset(labels, d, fraction=0.5, seed=0) for d in range(8)])
    outputs = np.random.default_rng(0).normal(size=(8, 2))
    baseline = lds.same_class(labels, np.array([0, 1]))
    assert np.array_equal(lds.per_example(baseline, masks, outputs), [0.0, 0.0])


def test_the_same_class_indicator_scores_where_class_counts_vary() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 10)
    masks = (rng.random((60, 20)) < 0.5).astype(float)
    outputs = masks @ lds.same_class(labels, np.array([0, 1])).T + 0.1 * rng.random((60, 2))
    assert lds.lds(lds.same_class(labels, np.array([0, 1])), masks, outputs).value > 0.95


@pytest.mark.parametrize("correlation", [0.3, 0.7])
def test_the_interval_covers(correlation: float) -> None:
    rng = np.random.default_rng(0)
    covered, true = 0, 6 / np.pi * np.arcsin(correlation / 2)
    for _ in range(150):
        common, own = rng.normal(size=(2, 40, 6))
        shared = rng.normal(size=(40, 1))
        left = 0.6 * shared + 0.8 * common
        right = correlation * left + np.sqrt(1 - correlation**2) * own
        estimate = lds.interval(left, right, resamples=100)
        covered += estimate.low <= true <= estimate.high
    assert 0.9 <= covered / 150 <= 0.995


def test_the_jackknife_is_the_spread_over_repetitions() -> None:
    rng = np.random.default_rng(0)
    masks, effects = rng.normal(size=(200, 5)), rng.normal(size=(4, 5))
    # The scores are off by more than noise: at its optimum LDS has no first-order error.
    outputs = masks @ (effects + rng.normal(size=(4, 5))).T
    estimates = [
        lds.jackknife(effects + rng.normal(size=(12, 4, 5)), masks, outputs) for _ in range(80)
    ]
    spread = np.std([estimate.value for estimate in estimates])
    reach = np.mean([estimate.high - estimate.value for estimate in estimates])
    assert reach / stats.t.ppf(0.975, 11) == pytest.approx(spread, rel=0.25)


def test_the_ceiling_is_what_a_perfect_predictor_reaches() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(4000, 20))
    for noise, seeds in ((0.5, 1), (1.0, 2), (2.0, 4)):
        outputs = signal + noise * rng.normal(size=(seeds, *signal.shape))
        pair = signal + noise * rng.normal(size=(2, *signal.shape))
        reached = lds.interval(signal, outputs.mean(0), resamples=2).value
        assert lds.ceiling(lds.retraining_agreement(pair), seeds) == pytest.approx(
            reached, abs=0.02
        )


def test_truth_is_read_by_ids_and_refuses_holes() -> None:
    rows = [
        {"seed": seed, "draw": draw, "example": example, "margin": 100 * seed + 10 * draw + example}
        for seed in (0, 1)
        for draw in (2, 5)
        for example in (1, 3, 7)
    ]
    rng = np.random.default_rng(0)
    table = pa.Table.from_pylist([rows[i] for i in rng.permutation(len(rows))])
    outputs, draws, examples = lds.truth(table)
    assert draws.tolist() == [2, 5]
    assert examples.tolist() == [1, 3, 7]
    assert outputs[1].tolist() == [[121, 123, 127], [151, 153, 157]]
    with pytest.raises(ValueError, match="losses are not"):
        lds.truth(table.slice(1))
