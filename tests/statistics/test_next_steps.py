"""The planner: the rule where little is known, its simulation, and what following it loses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats
from support.ladders import LADDERS, compute_of, laws, parallel, with_noise
from support.regmix import mixtures, needs_regmix

from proxyscale.statistics.ladder import Ladder, known_of
from proxyscale.statistics.next_steps import RULE, plan

SCALES = ["10M", "30M", "100M", "300M"]


def ladder_of(values: np.ndarray, trained: np.ndarray, noise: float = np.nan) -> Ladder:
    """Losses [scales, recipes] where `trained` [scales, recipes]."""
    scales, n = values.shape
    return Ladder(
        SCALES[-scales:],
        [f"r{i}" for i in range(n)],
        compute_of(scales),
        np.where(trained, values, np.nan),
        trained.astype(int),
        np.full(scales, noise),
        scales - 1,
    )


def only(scales: list[int], shape: tuple[int, int]) -> np.ndarray:
    found = np.zeros(shape, dtype=bool)
    found[scales] = True
    return found


def example(seed=0, n=20, scales=(0, 1), ladder=laws, noise=np.nan):
    values = ladder(np.random.default_rng(seed), n, compute_of(4))
    return values, ladder_of(values, only(list(scales), values.shape), noise)


def test_one_scale_alone_leaves_the_rule():
    values, ladder = example(scales=[0])
    found = plan(ladder)
    assert found.by_rule
    assert found.chosen.kind == "target"
    best = np.argsort(values[0], kind="stable")[:RULE]
    assert set(found.chosen.recipes) == {f"r{i}" for i in best}
    assert found.chosen.runs == RULE
    assert found.chosen.flops == pytest.approx(RULE * ladder.compute[3])
    half = ladder.values.copy()
    half[0, 10:] = np.nan
    cut = dataclasses.replace(ladder, values=half, counts=np.isfinite(half).astype(int))
    assert plan(cut).chosen.kind == "smallest"
    assert plan(cut).chosen.recipes == tuple(f"r{i}" for i in range(10, 20))


def test_after_the_rule_it_stops_at_the_best_measured():
    values, ladder = example(scales=[0])
    done = ladder.counts > 0
    done[3, np.argsort(values[0], kind="stable")[:RULE]] = True
    found = plan(ladder_of(values, done))
    assert found.chosen.kind == "stop"
    assert found.choice == f"r{np.argmin(np.where(done[3], values[3], np.inf))}"


def test_a_steady_order_needs_no_more_runs_and_a_crossing_one_does():
    steady = plan(example(ladder=parallel)[1])
    assert steady.chosen.kind == "stop"
    assert steady.chosen.best > 0.9
    crossing = plan(example(seed=1, n=40)[1])
    assert crossing.chosen.kind in ("target", "middle")
    assert crossing.chosen.regret < 0.8 * crossing.steps[0].regret


def test_more_at_the_target_leaves_less_regret():
    steps = {s.runs: s for s in plan(example(seed=1, n=40)[1]).steps if s.kind == "target"}
    regrets = [steps[runs].regret for runs in sorted(steps)]
    assert regrets == sorted(regrets, reverse=True)
    assert [steps[runs].flops for runs in sorted(steps)] == sorted(s.flops for s in steps.values())


def test_the_target_out_of_reach_leaves_thirds_through_the_proxies():
    found = plan(example(seed=1, n=40)[1], reach=2)
    assert {step.kind for step in found.steps} <= {"stop", "middle"}
    thirds = [step for step in found.steps if step.kind == "middle"]
    assert [step.runs for step in thirds] == [13]
    assert not any(step.kind == "middle" for step in plan(example(seed=1, n=40)[1], reach=1).steps)
    assert all(0.4 * found.steps[0].regret < s.regret <= found.steps[0].regret for s in thirds)


def test_new_recipes_can_beat_all_that_are_there():
    found = plan(example(ladder=parallel, n=10)[1], more=200)
    new = next(step for step in found.steps if step.kind == "recipes")
    assert new.regret < -0.5
    assert new.runs == 200


@pytest.mark.parametrize(("noise", "asked"), [(np.nan, False), (0.01, True)])
def test_seeds_are_proposed_where_noise_is_known_and_all_is_measured(noise, asked):
    _, ladder = example(scales=range(4), noise=noise)
    assert ("seeds" in {step.kind for step in plan(ladder).steps}) == asked


def test_correlations_hold_where_a_chosen_part_was_trained_further():
    rng = np.random.default_rng(0)
    truth = rng.multivariate_normal([5, 4], [[1, 0.8 * 2], [0.8 * 2, 4]], 400).T
    part = only([0], truth.shape)
    part[1, np.argsort(truth[0])[:130]] = True
    known = known_of(ladder_of(truth, part, noise=0.0))
    plain = stats.pearsonr(*truth[:, part[1]]).statistic
    assert plain < 0.65
    assert known.correlations[0, 1] == pytest.approx(0.8, abs=0.06)
    assert known.sd == pytest.approx(2, rel=0.15)


def test_the_posterior_is_that_of_conditional_normals():
    _, ladder = example(scales=[0, 1, 2], noise=0.002)
    known = known_of(ladder)
    mean, covariance = known.posterior()
    seen = [0, 1, 2]
    R = known.correlations
    weights = np.linalg.solve(R[np.ix_(seen, seen)] + np.diag(known.run_variance[seen]), R[seen])
    np.testing.assert_allclose(mean, known.y[:, seen] @ weights, atol=1e-8)
    np.testing.assert_allclose(covariance[0], R - R[:, seen] @ weights, atol=1e-8)


def follow(values, seen, trained, by_rule, most=8):
    """Regret, in sd over recipes, and cost of training what is proposed until it says stop."""
    spent, sd = 0.0, values[-1].std(ddof=1)
    for _ in range(most):
        ladder = ladder_of(seen, trained)
        if by_rule:
            ladder = ladder_of(seen, trained & (np.arange(len(seen)) % 3 == 0)[:, None])
        found = plan(ladder)
        if found.chosen.kind == "stop":
            break
        scale = ladder.scales.index(found.chosen.scale)
        chosen = [ladder.recipes.index(name) for name in found.chosen.recipes]
        trained = trained.copy()
        trained[scale, chosen] = True
        spent += found.chosen.flops
    truth = values[-1, ladder.recipes.index(found.choice)]
    return (truth - values[-1].min()) / sd, spent


def compared(ladder, noise, n, repeats):
    """Regrets [repeats, 2] of the planner and of the rule, from two complete scales."""
    found = []
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        values = ladder(rng, n, compute_of(4))
        seen, trained = with_noise(rng, values, noise), only([0, 1], values.shape)
        found.append([follow(values, seen, trained, by_rule)[0] for by_rule in (False, True)])
    return np.array(found)


def no_worse(regrets: np.ndarray) -> bool:
    apart = regrets[:, 0] - regrets[:, 1]
    return bool(apart.mean() <= 2 * apart.std(ddof=1) / np.sqrt(len(apart)) + 1e-9)


def test_the_planner_is_no_worse_than_the_rule():
    assert no_worse(compared(laws, 0.1, 20, 10))


@pytest.mark.slow
@pytest.mark.parametrize("name", LADDERS)
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("n", [20, 40])
def test_the_planner_is_no_worse_than_the_rule_on_any_ladder(name, noise, n):
    regrets = compared(LADDERS[name], noise, n, 80)
    print(f"{name}, noise {noise}, {n} recipes: {regrets.mean(axis=0).round(3)} sd")
    assert no_worse(regrets)


@needs_regmix
def test_the_planner_on_regmix():
    """40 mixtures at 1M, twelve of them at 60M too; its 1B mixtures are at no other scale."""
    small = mixtures("test", "1m")[1].mean(axis=1)
    large = mixtures("test", "60m")[1].mean(axis=1)
    regrets = []
    for seed in range(8):
        drawn = np.random.default_rng(seed).permutation(256)[:40]
        values = np.stack([small[drawn], large[drawn]])
        trained = only([0], values.shape)
        started = trained.copy()
        started[1, :12] = True
        regrets.append([follow(values, values, started, False)[0], _rule(values)])
    assert no_worse(np.array(regrets))


def _rule(values: np.ndarray) -> float:
    best = np.argsort(values[0], kind="stable")[:RULE]
    return (values[-1, best].min() - values[-1].min()) / values[-1].std(ddof=1)
