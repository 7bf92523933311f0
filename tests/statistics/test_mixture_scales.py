"""Few runs at a larger scale on top of many at a smaller one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from support.regmix import mixtures, needs_regmix

from proxyscale.statistics.mixture_model import fit_all, predicted_losses
from proxyscale.statistics.mixture_scales import LINE, REST, line_through, transferred


def test_the_line_is_found_and_drawn_towards_one_as_it_scatters():
    x = np.linspace(0, 1, 9)
    a, b, scatter = line_through(x, 0.3 + 1.7 * x)
    assert (a, b) == (pytest.approx(0.3), pytest.approx(1.7))
    assert scatter == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(0).standard_normal(9)
    plain = np.polyfit(x, 3 * x + noise, 1)[0]
    drawn = line_through(x, 3 * x + noise)[1]
    assert min(1, plain) < drawn < max(1, plain)
    assert line_through(np.ones(6), np.ones(6))[1] == 1  # no slope to be seen


def two_scales(n: int, few: int):
    """A larger scale at which sources help otherwise than at the smaller one."""
    weights = np.random.default_rng(1).dirichlet(np.ones(3), n)
    small = 3 + np.exp(-3 * weights[:, 0]) + 0.4 * weights[:, 1]
    large = 1.5 * small**0.6 - 0.5 * weights[:, 2]
    known = np.where(np.arange(n) < few, large, np.nan)
    return weights, small[:, None], large[:, None], known[:, None]


@pytest.mark.parametrize("few", [LINE, REST + 4])
def test_larger_runs_make_the_larger_scale_better_foretold(few):
    weights, small, large, known = two_scales(60, few)
    without = predicted_losses(fit_all(weights, small), weights)[few:, 0]
    models = transferred(weights, small, known)
    found = predicted_losses(models, weights)[few:, 0]
    off = np.abs(found - large[few:, 0]).mean()
    assert off < 0.25 * np.abs(without - large[few:, 0]).mean()
    assert (models[0].line.rest is not None) == (few >= REST)
    if few >= REST:  # the line cannot order what mixtures add to it
        order = [stats.kendalltau(v, large[few:, 0]).statistic for v in (without, found)]
        assert order[1] > order[0]


@needs_regmix
@pytest.mark.slow
def test_regmix_with_six_and_twelve_large_runs():
    weights, losses = mixtures("train", "1m")
    largest, large = mixtures("test", "1B")
    every = np.concatenate([weights, largest])
    small = np.concatenate([losses, np.full_like(large, np.nan)])
    without = predicted_losses(fit_all(weights, losses), largest)
    for few, least in ((LINE, 0.82), (12, 0.85)):
        found = []
        for rep in range(4):
            chosen = np.random.default_rng(rep).permutation(64)
            known = np.full(small.shape, np.nan)
            known[len(weights) + chosen[:few]] = large[chosen[:few]]
            rest = chosen[few:]
            foretold = predicted_losses(transferred(every, small, known), largest[rest])
            truth = large[rest].mean(axis=1)
            found.append(
                [
                    stats.spearmanr(v.mean(axis=1), truth).statistic
                    for v in (without[rest], foretold)
                ]
            )
        before, after = np.mean(found, axis=0)
        print(f"{few} large runs: {before:.3f} → {after:.3f}")
        assert after > before + 0.05
        assert after >= least
