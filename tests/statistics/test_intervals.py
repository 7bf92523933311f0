"""Calibration by simulation: intervals cover 93–97 %, the decision bound is seldom false.

Truth is the statistic of the population that the distributions are drawn from.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import stats

from proxyscale.statistics import intervals, rank_distributions

SIZES = (6, 10, 25)
CORRELATIONS = (0.8, 0.95, 0.99)
FAR = 0.75  # share of the variance that lies between clusters


def normal(rng, repeats, n, r):
    """Bivariate normal losses: [repeats, n] twice."""
    x, e = rng.standard_normal((2, repeats, n))
    return x, r * x + np.sqrt(1 - r * r) * e


def clustered(rng, repeats, n, r, far=FAR):
    """Three equally likely far-apart sources: Pearson r over all, (r − far)/(1 − far) within."""
    within = (r - far) / (1 - far)
    centre = rng.integers(-1, 2, (repeats, n)) * np.sqrt(1.5 * far)
    x, y = normal(rng, repeats, n, within)
    return centre + np.sqrt(1 - far) * x, centre + np.sqrt(1 - far) * y


def coin_tosses(rng, repeats, n, r):
    """Clusters within which the proxy knows nothing: all of r lies between them."""
    return clustered(rng, repeats, n, r, far=r)


PROCESSES = (normal, clustered, coin_tosses)


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
    found, right = pearson(x, y), accuracy(x, y)
    ratio = intervals.variance_ratio(x.T, y.T)
    rho = pearson(ranks(x), ranks(y))
    covers = {
        "pearson": (r, intervals.pearson_interval(found, n, ratio=ratio)),
        "r2": (r * r, intervals.r2_interval(found, n, ratio=ratio)),
        "spearman": (spearman, each(intervals.spearman_interval, rho, n, ratio)),
        "kendall": (2 * decision - 1, each(intervals.kendall_interval, 2 * right - 1, n, ratio)),
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
    highest = 0.995 if process is coin_tosses else 0.97
    for name, share in shares.items():
        lowest = 0.945 if name in ("pearson", "r2") else 0.93
        assert lowest - slack <= share <= highest + slack, name


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


def test_the_decision_bound_of_a_perfect_ranking_does_not_collapse():
    bounds = [float(intervals.decision_bound(np.asarray(1.0), n)) for n in SIZES]
    np.testing.assert_allclose(bounds, [0.79, 0.934, 0.9914], atol=0.002)
    assert intervals.decision_interval(np.asarray(1.0), 6)[1] == 1
    for interval in (intervals.spearman_interval, intervals.kendall_interval):
        low, high = interval(1.0, 6)
        assert low < 0.9
        assert high == 1


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
    low, high = intervals.r2_interval(np.array([0.3, -0.3, 0.95, -0.95]), 10)
    assert low[0] == low[1] == 0
    np.testing.assert_allclose(high[0], high[1])
    np.testing.assert_allclose([low[2], high[2]], [0.64, 0.98], atol=0.01)
    np.testing.assert_allclose([low[3], high[3]], [low[2], high[2]])
    assert np.isnan(intervals.r2_interval(np.array([np.nan]), 10)[0]).all()


def test_the_variance_ratio_is_the_jackknifes():
    x, y = np.random.default_rng(0).standard_normal((2, 9, 2))
    y += x
    found = intervals.variance_ratio(x, y)
    for column in range(2):
        left = [
            np.arctanh(stats.pearsonr(*(np.delete(v[:, column], i) for v in (x, y)))[0])
            for i in range(9)
        ]
        expected = 8 * np.var(left) * 6
        assert found[column] == pytest.approx(expected)
    assert intervals.variance_ratio(np.ones((9, 1)), y[:, :1]) == 1


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
    for interval in (intervals.spearman_interval, intervals.kendall_interval):
        for value in (-0.9, 0.0, 0.7, 0.97):
            few, many = (np.array(interval(value, n)) for n in (50, 51))
            np.testing.assert_allclose(few, many, atol=0.025)


def test_pearson_interval_of_a_normal_population_is_scipys():
    x, y = np.random.default_rng(0).normal(size=(2, 12))
    found = stats.pearsonr(x, y)
    expected = found.confidence_interval(0.9)
    np.testing.assert_allclose(intervals.pearson_interval(found[0], 12, 0.9), expected)


def test_the_ceiling_is_the_r2_of_a_perfect_predictor():
    rng = np.random.default_rng(1)
    n, seeds, noise = 4000, 3, 0.7
    signal = rng.standard_normal(n)
    runs = signal + noise * rng.standard_normal((seeds, n))
    variance = float(runs.var(axis=0, ddof=1).mean())
    r1 = intervals.single_seed_correlation(runs.mean(axis=0), variance, seeds)
    between = np.mean([stats.pearsonr(runs[i], runs[j])[0] for i in range(3) for j in range(i)])
    assert r1 == pytest.approx(between, abs=0.01)
    ceiling = intervals.noise_ceiling(r1, seeds)
    assert ceiling == pytest.approx(stats.pearsonr(signal, runs.mean(axis=0))[0] ** 2, abs=0.015)
    low, high = intervals.ceiling_interval(ceiling, n, n * (seeds - 1))
    assert low < 1 / (1 + noise**2 / seeds) < high


def test_noise_intervals_cover():
    rng = np.random.default_rng(2)
    hits = np.zeros(2)
    repeats = 1500
    for _ in range(repeats):
        runs = rng.standard_normal(8) + 0.5 * rng.standard_normal((2, 8))
        variance = float(runs.var(axis=0, ddof=1).mean())
        low, high = intervals.sd_interval(np.sqrt(variance), 8)
        hits[0] += low <= 0.5 <= high
        r1 = intervals.single_seed_correlation(runs.mean(axis=0), variance, 2)
        low, high = intervals.ceiling_interval(intervals.noise_ceiling(r1, 2), 8, 8)
        hits[1] += low <= 1 / 1.125 <= high
    assert (np.abs(hits / repeats - 0.95) < 0.02).all()
