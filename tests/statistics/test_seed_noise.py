"""Seed noise: whose it is, coverage of differences, ceilings, what proxy and reference share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from proxyscale.statistics.intervals import pearson
from proxyscale.statistics.seed_noise import (
    Noise,
    bartlett,
    ceiling,
    ceiling_interval,
    chosen_noise,
    pools_of,
    sd_interval,
    seed_correlation,
    seed_noise,
)


def half_noisy(n, ratio):
    """Standard deviations of seeds: the second half has `ratio` times the variance."""
    return np.where(np.arange(n) < n // 2, 1.0, np.sqrt(ratio))


def two_groups(n):
    return {"all": np.arange(n), "similar": np.arange(n // 2)}


def coverage(n, seeds, ratio, grouped, repeats):
    """Coverage of the 95 % intervals of differences: [quiet, noisy, mixed pair]."""
    rng = np.random.default_rng(n * seeds)
    members = two_groups(n) if grouped else {"all": np.arange(n)}
    pools, where = pools_of(members, "all", n), np.repeat(np.arange(n), seeds)
    sd, truth = half_noisy(n, ratio), rng.permutation(n) * 5.0
    i, j = np.array([0, n - 2, 0]), np.array([1, n - 1, n - 1])
    held = np.zeros(3)
    for _ in range(repeats):
        runs = truth[:, None] + sd[:, None] * rng.standard_normal((n, seeds))
        noise, means = seed_noise(runs.ravel(), where, pools, n), runs.mean(axis=1)
        off = np.abs((means[i] - means[j]) - (truth[i] - truth[j]))
        held += off <= noise.margin(i, j, 0.95)
    return held / repeats


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize(("n", "seeds", "ratio"), [(6, 2, 1), (6, 3, 30), (10, 2, 30), (10, 3, 5)])
def test_differences_are_covered(n, seeds, ratio, grouped):
    shares = coverage(n, seeds, ratio, grouped, 300)
    assert (shares >= 0.93 - 0.03).all()
    assert (shares <= (0.97 if grouped else 0.985) + 0.02).all()


@pytest.mark.slow
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("n", [6, 10, 25])
@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("ratio", [1, 5, 30])
def test_differences_are_covered_closely(n, seeds, ratio, grouped):
    shares = coverage(n, seeds, ratio, grouped, 10_000)
    assert (shares >= 0.93 - 0.006).all()
    assert (shares <= (0.97 if grouped else 0.985) + 0.006).all()


def beyond_the_ceiling(n, seeds, ratio, rho, repeats):
    """Median error of the ceiling, and how often R² of a perfect proxy lies above its interval."""
    rng = np.random.default_rng(n + seeds)
    shares = half_noisy(n, ratio) ** 2
    variance = shares / shares.mean() * (1 - rho) / rho * seeds
    pools, where = pools_of(two_groups(n), "all", n), np.repeat(np.arange(n), seeds)
    found, above = [], 0
    for _ in range(repeats):
        signal = rng.standard_normal(n)
        runs = signal[:, None] + np.sqrt(variance)[:, None] * rng.standard_normal((n, seeds))
        noise, means = seed_noise(runs.ravel(), where, pools, n), runs.mean(axis=1)
        found.append(ceiling(means, noise))
        above += pearson(signal, means) ** 2 > ceiling_interval(found[-1], noise)[1]
    return np.median(found) - rho, above / repeats


@pytest.mark.parametrize(("n", "ratio", "rho"), [(6, 1, 0.95), (6, 30, 0.85), (10, 30, 0.85)])
def test_a_perfect_proxy_seldom_passes_its_ceiling(n, ratio, rho):
    bias, above = beyond_the_ceiling(n, 2, ratio, rho, 300)
    assert abs(bias) <= 0.03 + 0.03
    assert above <= (0.07 if n == 6 else 0.05) + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 10, 25])
@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("ratio", [1, 5, 30])
@pytest.mark.parametrize("rho", [0.7, 0.85, 0.95])
def test_a_perfect_proxy_seldom_passes_its_ceiling_closely(n, seeds, ratio, rho):
    bias, above = beyond_the_ceiling(n, seeds, ratio, rho, 5_000)
    assert abs(bias) <= 0.03 + 0.01
    assert above <= (0.07 if n == 6 else 0.05) + 0.006


def test_a_group_has_its_own_noise_and_the_rest_pools_by_itself():
    rng = np.random.default_rng(0)
    runs = half_noisy(8, 25)[:, None] * rng.standard_normal((8, 3))
    where, members = np.repeat(np.arange(8), 3), two_groups(8)
    own = runs.var(axis=1, ddof=1)
    noise = seed_noise(runs.ravel(), where, pools_of(members, "all", 8), 8)
    expected = np.repeat([own[:4].mean(), own[4:].mean()], 4)
    np.testing.assert_allclose(noise.variances, expected)
    np.testing.assert_array_equal(noise.degrees, 8)
    mean, degrees = noise.of_means
    assert mean == pytest.approx(own.mean() / 3)
    a, b = own[:4].mean(), own[4:].mean()
    assert degrees == pytest.approx((a + b) ** 2 / (a**2 / 8 + b**2 / 8))
    # the group alone
    alone = chosen_noise(
        seed_noise(runs.ravel(), where, pools_of(members, "similar", 8), 8), np.arange(4)
    )
    assert alone.of_means == (pytest.approx(a / 3), 8)


def test_the_smallest_group_that_holds_a_distribution_is_its_pool():
    members = {"all": np.arange(6), "wide": np.arange(5), "near": np.array([1, 2])}
    pools = pools_of(members, "all", 6)
    assert [list(np.flatnonzero(pools == pool)) for pool in dict.fromkeys(pools.tolist())] == [
        [0, 3, 4],
        [1, 2],
        [5],
    ]
    assert len(set(pools_of(members, "wide", 6)[:5])) == 1
    assert pools_of({"all": np.arange(6)}, "all", 6) is None


def test_the_error_of_a_difference_is_welchs():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 4), rng.normal(1, 5, 3)
    where = np.array([0] * 4 + [1] * 3)
    noise = seed_noise(np.concatenate([a, b]), where, np.array([0, 1]), 2)
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    assert noise.margin(0, 1, 0.9) == pytest.approx((high - low) / 2)


def test_without_groups_each_has_its_own_unless_the_level_drives_it():
    rng = np.random.default_rng(1)
    n, where = 30, np.repeat(np.arange(30), 3)
    level = np.linspace(1, 4, n)
    driven = level[:, None] + 0.01 * np.exp(level)[:, None] * rng.standard_normal((n, 3))
    noise = seed_noise(driven.ravel(), where, None, n)
    np.testing.assert_allclose(noise.variances, (0.01 * np.exp(level)) ** 2, rtol=1.2)
    assert len(set(noise.pools)) == 1
    assert noise.degrees.max() > 20
    plain = level[:, None] + 0.1 * rng.standard_normal((n, 3))
    noise = seed_noise(plain.ravel(), where, None, n)
    np.testing.assert_allclose(noise.variances, plain.var(axis=1, ddof=1))
    assert len(set(noise.pools)) == n


def test_one_run_has_no_noise_and_equal_runs_have_none():
    single = seed_noise(np.arange(4.0), np.arange(4), None, 4)
    assert not single.known
    assert np.isnan(ceiling(np.arange(4.0), single))
    assert np.isnan(single.margin(0, 1, 0.95))
    equal = seed_noise(np.repeat(0.1 * np.arange(4), 2), np.repeat(np.arange(4), 2), None, 4)
    assert equal.known
    assert ceiling(np.arange(4.0), equal) == 1
    assert equal.margin(0, 1, 0.95) == 0
    # equal by rounding beside others that differ: unknown, not 0
    some = seed_noise(np.array([1, 1, 2, 2, 3, 3.5]), np.repeat(np.arange(3), 2), None, 3)
    assert np.isnan(some.margin(0, 1, 0.95))


def test_bartletts_test_is_scipys():
    rng = np.random.default_rng(5)
    groups = [rng.normal(0, s, m) for s, m in ((1, 4), (2, 6), (1, 9))]
    variances = np.array([g.var(ddof=1) for g in groups])
    p, ratio = bartlett(variances, np.array([3.0, 5, 8]))
    assert p == pytest.approx(stats.bartlett(*groups).pvalue)
    assert ratio == variances.max() / variances.min()


def test_the_ceiling_is_the_r2_of_a_perfect_predictor():
    rng = np.random.default_rng(1)
    n, seeds, sd = 4000, 3, 0.7
    signal = rng.standard_normal(n)
    runs = signal[:, None] + sd * rng.standard_normal((n, seeds))
    noise = seed_noise(runs.ravel(), np.repeat(np.arange(n), seeds), np.zeros(n, int), n)
    found = ceiling(runs.mean(axis=1), noise)
    assert found == pytest.approx(stats.pearsonr(signal, runs.mean(axis=1))[0] ** 2, abs=0.015)
    # Spearman–Brown of the correlation of single runs
    r1 = np.mean([stats.pearsonr(runs[:, i], runs[:, j])[0] for i in range(3) for j in range(i)])
    assert found == pytest.approx(3 * r1 / (1 + 2 * r1), abs=0.01)
    low, high = ceiling_interval(found, noise)
    assert low < 1 / (1 + sd**2 / seeds) < high


def test_the_interval_of_the_sd_covers():
    rng = np.random.default_rng(2)
    found = np.sqrt(rng.chisquare(8, 2000) / 8)
    low, high = np.array([sd_interval(sd, 8) for sd in found]).T
    assert np.mean((low <= 1) & (high >= 1)) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("truth", [0.0, 0.8])
def test_what_seeds_share_is_measured(truth):
    rng = np.random.default_rng(7)
    n, where, held, found = 10, np.repeat(np.arange(10), 2), 0, []
    for _ in range(400):
        shared, own, level = rng.standard_normal((3, 20))
        value, low, high, degrees = seed_correlation(
            level[where] + shared,
            9 * level[where] + truth * shared + np.sqrt(1 - truth**2) * own,
            where,
        )
        held += low <= truth <= high
        found.append(value)
    assert degrees == n
    assert np.mean(found) == pytest.approx(truth, abs=0.05)
    assert 0.92 <= held / 400 <= 0.99
    assert np.isnan(seed_correlation(np.ones(3), np.ones(3), np.arange(3))[0])


def test_seeds_are_their_harmonic_mean():
    counts = np.array([2, 2, 4])
    noise = Noise(np.ones(3), np.ones(3), np.zeros(3), counts, np.ones(3))
    assert noise.seeds == pytest.approx(stats.hmean(counts))
