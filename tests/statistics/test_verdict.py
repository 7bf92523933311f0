"""The verdict: order of tests, false trust, what more would help, its words."""

from __future__ import annotations

import numpy as np
import pytest
from support.populations import rounded

from proxyscale.base.errors import UserError
from proxyscale.statistics import intervals
from proxyscale.statistics.proxy_statistics import as_table
from proxyscale.statistics.trials import Trial, Trust, trust_of
from proxyscale.statistics.verdict import recipes_needed, seeds_needed, verdict
from proxyscale.statistics.verdict_words import claim, words


def table(accuracies, n=25, ratios=(100.0, 10.0, 2.0), ceiling=0.9, group="all", **more):
    """Statistics of scales xs, s, m, by task."""
    rows = []
    for task, values in accuracies.items():
        for scale, value, ratio in zip(("xs", "s", "m"), values, ratios, strict=True):
            place = {"level": "distribution", "group": group, "task": task, "proxy": scale}
            place |= {"reference": "ref", "compute_ratio": ratio, "n": n}
            facts = {"r2": 0.9, "decision_accuracy": value, "seeds": 2.0, "reference_seeds": 2.0}
            facts |= {"noise_ceiling": ceiling, "reference_noise_ceiling": ceiling} | more
            rows += [{**place, "statistic": s, "value": v} for s, v in facts.items()]
    return as_table(rows)


def test_the_cheapest_scale_above_an_unbroken_row_is_trusted():
    found = {v.task: v for v in verdict(table({"a": (0.7, 0.99, 0.99), "b": (0.99, 0.7, 0.99)}))}
    assert found["a"].trusted.scale == "s"
    assert found["a"].failed[0].scale == "xs"
    # xs is right by luck: the larger s is not
    assert found["b"].trusted.scale == "m"
    assert found["overall"].trusted.scale == "m"
    assert {t.scale for t in found["overall"].failed} == {"s"}


def test_none_and_all():
    none = verdict(table({"a": (0.99, 0.99, 0.7)}))[0]
    assert none.trusted is None
    assert none.failed[0].scale == "m"
    every = verdict(table({"a": (1.0, 1.0, 1.0)}))[0]
    assert every.trusted.scale == "xs"
    assert every.failed == ()


def test_words_of_a_trusted_scale():
    found = verdict(table({"a": (0.92, 0.99, 0.99), "b": (0.99, 0.99, 0.99)}))
    assert words(found[0]) == (
        "On every task (2), s can be trusted to order pairs right in more than 90% of cases "
        "(95% confidence), 10× cheaper than the reference. "
        "The next, xs, falls short on a alone, where it orders 92% of pairs right, which proves "
        f"only {found[0].failed[0].bound:.0%}. For it, about {found[0].recipes} distributions "
        f"instead of 25 ({2 * (found[0].recipes - 25)} runs of xs and "
        f"{2 * (found[0].recipes - 25)} of the reference more, the compute of "
        f"{2.02 * (found[0].recipes - 25):.3g} runs of the reference) or about "
        f"{found[0].seeds} seeds instead of 2 ({25 * (found[0].seeds - 2)} runs of xs and "
        f"{25 * (found[0].seeds - 2)} of the reference more, the compute of "
        f"{25.25 * (found[0].seeds - 2):.3g} runs of the reference) would do if the estimates "
        "stay. This is about recipes of the same kind as these: on a kind that is rare among them "
        "a scale may be misjudged."
    )


def test_no_remedy_where_the_estimate_is_not_above_the_level():
    told = words(verdict(table({"a": (0.5, 0.5, 0.88)}))[0])
    assert "orders 88% of pairs right, which proves only" in told
    assert "The estimate itself is not above 90%" in told
    assert "would do" not in told


def test_a_conjunction_needs_what_all_failing_tasks_need():
    found = verdict(table({"a": (0.5, 0.5, 0.92), "b": (0.5, 0.5, 0.93), "c": (1, 1, 1)}))
    overall, a, b, _ = found
    assert overall.recipes == max(a.recipes, b.recipes) == a.recipes
    assert [t.task for t in overall.failed] == ["a", "b"]
    told = words(overall)
    assert "m falls short on 2 of 3 tasks, hardest on a, where it" in told
    assert f"For all of them, about {a.recipes} distributions" in told
    # one that no number of distributions settles leaves none for all
    overall = verdict(table({"a": (0.5, 0.5, 0.7), "b": (0.5, 0.5, 0.93)}))[0]
    assert (overall.recipes, overall.seeds) == (None, None)
    assert "The estimate itself on a is not above 90%" in words(overall)


def test_a_group_that_disagrees_is_told_first():
    both = table({"a": (0.99, 0.99, 0.99)}).to_pylist()
    both += table({"a": (0.6, 0.99, 0.99)}, group="similar").to_pylist()
    both += table({"a": (0.6, 0.6, 0.6)}, group="far").to_pylist()
    both += table({"a": (0.99, 0.99, 0.99)}, group="same").to_pylist()
    found = verdict(as_table(both))[0]
    assert found.elsewhere == (("similar", "s"), ("far", None))
    assert claim(found).endswith(
        "; among similar alone s can be trusted, among far alone no scale is known to."
    )


def test_trust_is_read_or_refused():
    assert trust_of(0.8) == Trust("decisions", 0.8)
    assert trust_of({"regret": 0.1}) == Trust("regret", 0.1)
    assert trust_of({"compute": 1.2}) == Trust("compute", 1.2)
    for wrong in ({"decisions": 90}, {"compute": 0.5}, {"loss": 1}, {"regret": 1, "compute": 2}):
        with pytest.raises(UserError):
            trust_of(wrong)


@pytest.mark.parametrize(
    ("kind", "row"), [("regret", "regret_next"), ("compute", "regret_next_compute")]
)
def test_trust_in_regret_takes_the_bound_below_the_level(kind, row):
    more = {row: 1.1, f"{row}_excluded": 1.5}
    statistics = table({"a": (0.9, 0.9, 0.9)}, **more)
    assert verdict(statistics, {kind: 1.6})[0].trusted.scale == "xs"
    found = verdict(statistics, {kind: 1.4})[0]
    assert found.trusted is None
    assert found.recipes > 25
    assert verdict(statistics, {kind: 1.05})[0].recipes is None
    unknown = verdict(table({"a": (0.9, 0.9, 0.9)}), {kind: 1.4})[0]
    assert "cannot be told" in words(unknown)


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        (3.71, "its expected regret is 1.17× the compute, and only more than 3.71× is excluded."),
        (700.0, "its expected regret is 1.17× the compute, and nothing up to 100× is excluded."),
    ],
)
def test_a_regret_in_compute_is_told_up_to_a_hundred_times(bound, told):
    more = {"regret_next_compute": 1.17, "regret_next_compute_excluded": bound}
    assert told in words(verdict(table({"a": (0.9, 0.9, 0.9)}, **more), {"compute": 1.2})[0])
    dear = more | {"regret_next_compute": 400.0, "regret_next_compute_excluded": 900.0}
    found = verdict(table({"a": (0.9, 0.9, 0.9)}, **dear), {"compute": 1.2})[0]
    assert "its expected regret is more than 100× the compute, and nothing up" in words(found)


def test_a_scale_worse_than_a_coin_has_its_ties_told_too():
    told = words(verdict(table({"a": (0.5, 0.5, 0.4)}, proxy_ties=0.25))[0])
    assert "orders 40% of pairs right, worse than a coin, 25% of them tied and counted" in told
    told = words(verdict(table({"a": (0.5, 0.5, 0.7)}, proxy_ties=0.001))[0])
    assert "orders 70% of pairs right, less than 1% of them tied and counted one half" in told


def test_too_few_distributions_are_told():
    found = verdict(table({"a": (0.7, 0.8, 1.0)}, n=6))[0]
    told = words(found)
    assert "m orders 100% of pairs right, which proves only 79%." in told
    assert "Of 6 distributions even a perfect order proves only 79%: at least 9 are needed." in told
    bounds = [intervals.decision_bound(np.asarray(1.0), n) for n in (8, 9)]
    assert bounds[0] <= 0.9 < bounds[1]


def test_extrapolations_and_examples_are_no_scales():
    statistics = table({"a": (1.0, 1.0, 1.0)}).to_pylist()
    law = {**statistics[1], "proxy": "law2:xs+s", "value": 0.1, "compute_ratio": 8.0}
    assert law["statistic"] == "decision_accuracy"
    assert verdict(as_table([*statistics, law]))[0].trusted.scale == "xs"


def test_a_variant_of_equal_compute_does_not_end_the_tests():
    found = verdict(table({"a": (1.0, 0.6, 1.0)}, ratios=(100.0, 2.0, 2.0)))[0]
    # s comes before m, which has its compute
    assert found.trusted is None
    assert found.failed[0].scale == "s"
    found = verdict(table({"a": (1.0, 1.0, 0.6)}, ratios=(100.0, 2.0, 2.0)))[0]
    assert found.trusted.scale == "xs"


def test_unknown_compute_is_refused():
    with pytest.raises(UserError, match="order of their compute"):
        verdict(table({"a": (1.0, 1.0, 1.0)}, ratios=(np.nan,) * 3))
    with pytest.raises(UserError, match="level of decisions"):
        verdict(table({"a": (1.0, 1.0, 1.0)}), 90)


def test_recipes_needed_are_just_enough():
    need = recipes_needed(0.95, 6, 0.9, 0.95)
    bounds = [intervals.decision_bound(np.asarray(0.95), n) for n in (need - 1, need)]
    assert bounds[0] <= 0.9 < bounds[1]
    assert recipes_needed(0.9, 6, 0.9, 0.95) is None


def test_seeds_needed_follow_the_noise():
    def tested(ceiling):
        ceilings = (ceiling, ceiling)
        return Trial("t", "s", 0.88, 0.8, 0.88, 25, 300, 0.0, 10.0, 10.0, 2.0, 2.0, ceilings, "")

    assert seeds_needed(tested(0.8), 0.8, 0.95) == 4
    assert seeds_needed(tested(1.0), 0.95, 0.95) is None
    assert seeds_needed(tested(np.nan), 0.9, 0.95) is None


@pytest.mark.parametrize("n", [6, 10, 25])
@pytest.mark.parametrize("r", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("far", [0.0, 0.75])
def test_false_trust_is_rare(n, r, far):
    """The worst case: the level is the smallest scale's own accuracy; the larger are just above."""
    rng = np.random.default_rng(n)
    repeats = 3000
    centre = rng.integers(-1, 2, (repeats, n)) * np.sqrt(1.5 * far)
    y = rng.standard_normal((repeats, n))
    i, j = np.triu_indices(n, 1)
    trusted = np.ones(repeats, dtype=bool)
    # smallest last, as tested; its truth is the level
    for total in (r + 0.5 * (1 - r), r):
        within = (total - far) / (1 - far)
        x = within * y + np.sqrt(1 - within**2) * rng.standard_normal((repeats, n))
        losses = [centre + np.sqrt(1 - far) * v for v in (x, y)]
        right = np.prod([np.sign(v[:, i] - v[:, j]) for v in losses], axis=0) > 0
        level = right.mean()
        trusted &= intervals.decision_bound(right.mean(axis=1), n) > level
    assert trusted.mean() <= 0.06


def ties_half(x, y):
    i, j = np.triu_indices(x.shape[1], 1)
    proxy = x[:, i] - x[:, j]
    return np.where(proxy == 0, 0.5, proxy * (y[:, i] - y[:, j]) > 0).mean(axis=1)


@pytest.mark.parametrize("levels", [2, 3, 5])
@pytest.mark.parametrize("n", [6, 10, 25])
@pytest.mark.parametrize("r", [0.8, 0.99])
def test_false_trust_is_rare_where_the_proxy_is_rounded(levels, n, r):
    population = rounded(levels)
    level = ties_half(*population(np.random.default_rng(1), 200_000, 2, r)).mean()
    found = ties_half(*population(np.random.default_rng(2), 3000, n, r))
    assert np.mean(intervals.decision_bound(found, n) > level) <= 0.06
