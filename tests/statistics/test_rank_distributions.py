from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from proxyscale.statistics import rank_distributions

STATISTICS = ("spearman", "kendall")


def probabilities(null: rank_distributions.Null) -> np.ndarray:
    return np.diff(null.below, axis=1, prepend=0)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_without_correlation_every_ranking_is_equally_likely(statistic):
    n, exact = 5, stats.spearmanr if statistic == "spearman" else stats.kendalltau
    every = [exact(range(n), order)[0] for order in itertools.permutations(range(n))]
    null = rank_distributions.nulls(n)[statistic]
    expected = [np.mean(np.abs(np.array(every) - value) < 1e-9) for value in null.values]
    found = probabilities(null)[0]
    np.testing.assert_allclose(
        found, expected, atol=4 * np.sqrt(0.25 / (rank_distributions.DRAWN // n))
    )


@pytest.mark.parametrize("n", [6, 10, 25])
def test_means_are_those_of_a_normal_population(n):
    r = np.tanh(rank_distributions.DEPTHS)
    tau, rho = 2 / np.pi * np.arcsin(r), 6 / np.pi * np.arcsin(r / 2)
    expected = {"kendall": tau, "spearman": (3 * tau + (n - 2) * rho) / (n + 1)}
    for statistic, null in rank_distributions.nulls(n).items():
        found = probabilities(null) @ null.values
        np.testing.assert_allclose(found, expected[statistic], atol=0.01)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("n", [6, 9])
def test_p_values_are_mid_p(statistic, n):
    """Averaged over what is observed under r, a mid-P value is about ½ at the least."""
    null = rank_distributions.nulls(n)[statistic]
    p = np.stack([rank_distributions._p_values(null, value) for value in null.values], axis=1)
    mean = (p * probabilities(null)).sum(axis=1)
    assert (mean > 0.49).all()
    assert (mean < 0.6).all()
    assert (p >= 0).all()
    assert (p <= 1).all()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(STATISTICS), st.sampled_from([4, 5, 6, 10, 19, 25]), st.floats(-1, 1))
@example("spearman", 19, 1.0)
@example("kendall", 50, 1 - 2 / 1225)
def test_intervals_are_symmetric_nested_and_hold_their_value(statistic, n, value):
    low, high = rank_distributions.interval(statistic, value, n, 0.95)
    inner = rank_distributions.interval(statistic, value, n, 0.5)
    assert -1 <= low <= inner[0] < inner[1] <= high <= 1
    np.testing.assert_allclose(
        rank_distributions.interval(statistic, -value, n, 0.95), (-high, -low)
    )
    r = np.sin(np.pi / 2 * value) if statistic == "kendall" else 2 * np.sin(np.pi / 6 * value)
    assert low - 0.05 <= r <= high + 0.05


def test_more_points_know_more():
    for statistic in STATISTICS:
        widths = [
            np.ptp(rank_distributions.interval(statistic, 0.6, n, 0.95)) for n in (5, 10, 25, 50)
        ]
        assert widths == sorted(widths, reverse=True)
