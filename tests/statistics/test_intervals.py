"""Calibration by simulation: intervals cover 93–97 %, the decision bound is seldom false.

Truth is the statistic of the population that the distributions are drawn from.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import stats
from support.populations import (
    clustered,
    coin_tosses,
    far_kind,
    few_digits,
    heavy,
    normal,
    skewed,
)

from proxyscale.statistics import intervals, rank_distributions, rank_intervals

SIZES = (6, 10, 25)
CORRELATIONS = (0.8, 0.95, 0.99)

PROCESSES = (normal, clustered, coin_tosses)
LED_BY_POINTS = (heavy, skewed, far_kind, few_digits)


def pearson(x, y):
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))


def ranks(x):
    return x.argsort(axis=1).argsort(axis=1).astype(float)


def accuracy(x, y):
    i, j = np.triu_indices(x.shape[1], 1)
    return ((x[:, i] - x[:, j]) * (y[:, i] - y[:, j]) > 0).mean(axis=1)


@functools.cache
def truth(process, r):
    """(Spearman, decision accuracy) of the population."""
    rng = np.random.default_rng(99)
    if process is normal:
        r = np.asarray(r)
        return [intervals.from_pearson(s, r) for s in ("spearman", "decision_accuracy")]
    x, y = process(rng, 1, 400_000, r)
    return pearson(ranks(x), ranks(y))[0], accuracy(*process(rng, 200_000, 2, r)).mean()


def each(interval, values, n, ratios):
    """Intervals of many values that repeat: low [repeats], high [repeats]."""
    found = [interval(v, n, ratio=q) for v, q in zip(values.round(9), ratios, strict=True)]
    return np.array(found).T


def coverage(process, n, r, repeats):
    """Coverage of the four intervals, and how often the one-sided decision bound is false."""
    rng = np.random.default_rng(n)
    x, y = process(rng, repeats, n, r)
    spearman, decision = truth(process, r)
    right = accuracy(x, y)
    ratio = intervals.variance_ratio(x.T, y.T)
    rho = pearson(ranks(x), ranks(y))
    covers = {
        "pearson": (r, intervals.pearson_interval(x.T, y.T)),
        "r2": (r * r, intervals.r2_interval(x.T, y.T)),
        "spearman": (spearman, each(rank_intervals.spearman_interval, rho, n, ratio)),
        "kendall": (
            2 * decision - 1,
            each(rank_intervals.kendall_interval, 2 * right - 1, n, ratio),
        ),
    }
    shares = {
        name: float(np.mean((low <= value + 1e-9) & (value <= high + 1e-9)))
        for name, (value, (low, high)) in covers.items()
    }
    false = float(np.mean(intervals.decision_bound(right, n) > decision + 1e-9))
    return shares, false


def check(process, n, r, repeats, slack):
    shares, false = coverage(process, n, r, repeats)
    assert false <= 0.05 + slack
    # where all of r lies between clusters, ranks cover more than they should
    for name, share in shares.items():
        ranks_too = name in ("pearson", "r2") or process is coin_tosses
        lowest = 0.95 if name in ("pearson", "r2") else 0.93
        highest = 0.985 if ranks_too else 0.97
        assert lowest - slack <= share <= max(highest, 0.995 * (process is coin_tosses)) + slack, (
            name
        )


@pytest.fixture
def remembered(monkeypatch):
    """Test inversions of values that come again: ranks take few."""
    monkeypatch.setattr(
        rank_distributions, "interval", functools.cache(rank_distributions.interval)
    )


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("r", CORRELATIONS)
def test_calibration(remembered, process, n, r):
    check(process, n, r, repeats=2_500, slack=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("r", CORRELATIONS)
def test_calibration_closely(remembered, process, n, r):
    check(process, n, r, repeats=40_000, slack=0.004)


@pytest.mark.parametrize("process", LED_BY_POINTS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("r", [0.8, 0.95])
def test_single_points_seldom_mislead(process, n, r):
    """Fisher's z alone covers 87–92 % of the first three."""
    truth = pearson(*process(np.random.default_rng(9), 1, 1_000_000, r))[0]
    x, y = process(np.random.default_rng(1), 2_500, n, r)
    usable = (np.ptp(x, axis=1) > 0) & (np.ptp(y, axis=1) > 0)
    low, high = intervals.pearson_interval(x[usable].T, y[usable].T)
    assert 0.905 <= np.mean((low <= truth) & (truth <= high)) <= 0.99


@pytest.mark.parametrize("process", [*PROCESSES, *LED_BY_POINTS])
def test_no_interval_says_nothing_of_what_is_nearly_a_line(process):
    """Neither width 0 nor, as it is printed, [0, 1], where r is .9 or more and n eight or more."""
    for n in (8, 10, 25):
        x, y = process(np.random.default_rng(n), 4_000, n, 0.95)
        for sign in (1, -1):
            low, high = intervals.r2_interval(x.T, sign * y.T)
            clear = np.abs(pearson(x, y)) >= 0.9
            assert (high > low)[clear].all()
            assert not ((low < 0.005) & (high >= 0.995))[clear].any()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("n", [3, 4, 6, 8, 25, 60])
def test_exact_lines_have_a_width(n, sign):
    x = np.arange(n) * 0.1
    low, high = intervals.pearson_interval(x, sign * x)
    r = intervals.pearson(x, sign * x)
    assert low < high
    assert low <= r <= high
    assert (high == 1) if sign > 0 else (low == -1)
    for interval in (rank_intervals.spearman_interval, rank_intervals.kendall_interval):
        low, high = interval(float(sign), n)
        assert low < high
        assert low <= sign <= high


def test_the_decision_bound_of_a_perfect_ranking_does_not_collapse():
    bounds = [float(intervals.decision_bound(np.asarray(1.0), n)) for n in SIZES]
    np.testing.assert_allclose(bounds, [0.79, 0.934, 0.9914], atol=0.002)
    assert intervals.decision_interval(np.asarray(1.0), 6)[1] == 1
    for interval in (rank_intervals.spearman_interval, rank_intervals.kendall_interval):
        low, high = interval(1.0, 6)
        assert low < 0.9
        assert high == 1


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("level", [0.6, 0.9, 0.95])
def test_one_look_tells_whether_the_decision_bound_is_above(n: int, level: float):
    accuracy = np.linspace(0, 1, 201)
    above = intervals.decision_above(accuracy, n, level)
    np.testing.assert_array_equal(above, intervals.decision_bound(accuracy, n) > level)


def test_decision_bound_of_one_pair_is_binomial():
    # a single pair, right: mid-P ½·p = 1 − .95
    assert intervals.decision_bound(np.asarray(1.0), 2) == pytest.approx(0.1, abs=1e-6)


def test_fewer_decided_pairs_know_less():
    every, few = (intervals.decision_bound(np.asarray(0.9), 10, pairs=p) for p in (45, 9))
    assert few < every
    assert intervals.decision_bound(np.asarray(0.9), 10, pairs=0) == 0


def test_the_variance_of_tau_is_that_of_simulation():
    rng = np.random.default_rng(0)
    for r in (0.0, 0.6, 0.95):
        right = accuracy(*normal(rng, 20_000, 10, r))
        p = intervals.from_pearson("decision_accuracy", np.asarray(r))
        expected = p * (1 - p) / intervals.effective_pairs(p, 10)
        assert right.var() == pytest.approx(expected, rel=0.04)


def test_r2_interval_reaches_zero_where_r_may_have_both_signs():
    rng = np.random.default_rng(4)
    x, y = normal(rng, 300, 10, 0.4)
    low, high = intervals.pearson_interval(x.T, y.T)
    squared = intervals.r2_interval(x.T, y.T)
    both = (low < 0) & (high > 0)
    assert 0 < both.mean() < 1
    assert (squared[0][both] == 0).all()
    np.testing.assert_allclose(squared[0][~both], np.minimum(low**2, high**2)[~both])
    np.testing.assert_allclose(intervals.r2_interval(x.T, -y.T), squared, atol=1e-12)
    assert np.isnan(intervals.r2_interval(np.ones((10, 1)), y[:1].T)).all()


def test_the_variance_ratio_is_the_jackknifes():
    x, y = np.random.default_rng(0).standard_normal((2, 9, 2))
    y += x
    found = intervals.variance_ratio(x, y)
    for column in range(2):
        whole = np.arctanh(stats.pearsonr(x[:, column], y[:, column])[0])
        left = [
            np.arctanh(stats.pearsonr(*(np.delete(v[:, column], i) for v in (x, y)))[0])
            for i in range(9)
        ]
        # one point moves z by three standard errors at most
        expected = 8 * np.var(np.clip(left, whole - 3 / np.sqrt(6), whole + 3 / np.sqrt(6))) * 6
        assert found[column] == pytest.approx(expected)
    assert intervals.variance_ratio(np.ones((9, 1)), y[:, :1]) == 1


@pytest.mark.parametrize("seed", range(8))
def test_pearsons_interval_is_centred_and_widened_by_the_jackknife(seed):
    n = 9
    x, y = np.random.default_rng(seed).standard_normal((2, n))
    x[0] += 2.0  # one point leads
    y += x
    z = np.arctanh(stats.pearsonr(x, y)[0])
    left = [np.arctanh(stats.pearsonr(*(np.delete(v, i) for v in (x, y)))[0]) for i in range(n)]
    left = np.clip(left, z - 3 / np.sqrt(n - 3), z + 3 / np.sqrt(n - 3))
    centre = (z + np.mean(n * z - (n - 1) * left)) / 2
    error = np.clip(np.sqrt((n - 1) * np.var(left)), 1 / np.sqrt(n - 3), 0.83)
    reach = stats.norm.ppf(0.975) * error
    expected = np.tanh([min(centre - reach, z), max(centre + reach, z)])
    np.testing.assert_allclose(intervals.pearson_interval(x, y), expected)


@pytest.mark.parametrize("r", [0.5, 0.95])
def test_heavy_tails_widen_and_clusters_narrow(r):
    rng = np.random.default_rng(3)
    scale = np.sqrt(3 / rng.chisquare(3, (2000, 25)))
    heavy = [v * scale for v in normal(rng, 2000, 25, r)]
    ratios = [
        np.median(intervals.variance_ratio(x.T, y.T))
        for x, y in (coin_tosses(rng, 2000, 25, r), normal(rng, 2000, 25, r), heavy)
    ]
    assert ratios[0] < 0.9 < ratios[1] < 1.1 < 1.5 < ratios[2]


def test_rank_intervals_of_many_points_follow_those_of_few():
    for interval in (rank_intervals.spearman_interval, rank_intervals.kendall_interval):
        for value in (-0.9, 0.0, 0.7, 0.97):
            few, many = (np.array(interval(value, n)) for n in (50, 51))
            np.testing.assert_allclose(few, many, atol=0.025)


def test_where_no_point_leads_the_interval_is_fishers():
    """A cloud whose points move z little: twelve on a circle, sheared."""
    angle = np.arange(12) / 12 * 2 * np.pi
    x = np.cos(angle)
    y = x + 0.8 * np.sin(angle)
    found = stats.pearsonr(x, y)
    expected = found.confidence_interval(0.9)
    np.testing.assert_allclose(intervals.pearson_interval(x, y, 0.9), expected, atol=0.03)
