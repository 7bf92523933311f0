"""The verdict: order of tests, false trust, what more would help, its words."""

from __future__ import annotations

import numpy as np
import pytest

from proxyscale.base.errors import UserError
from proxyscale.statistics import intervals
from proxyscale.statistics.proxy_statistics import as_table
from proxyscale.statistics.verdict import Trial, recipes_needed, seeds_needed, verdict, words


def table(accuracies, n=25, ratios=(100.0, 10.0, 2.0), ceiling=0.9, **more):
    """Statistics of scales xs, s, m, by task."""
    rows = []
    for task, values in accuracies.items():
        for scale, value, ratio in zip(("xs", "s", "m"), values, ratios, strict=True):
            place = {"level": "distribution", "group": "all", "task": task, "proxy": scale}
            place |= {"reference": "ref", "compute_ratio": ratio, "n": n}
            facts = {"r2": 0.9, "decision_accuracy": value, "reference_seeds": 2.0}
            facts |= {"noise_ceiling": ceiling, "reference_noise_ceiling": ceiling} | more
            rows += [{**place, "statistic": s, "value": v} for s, v in facts.items()]
    return as_table(rows)


def test_the_cheapest_scale_above_an_unbroken_row_is_trusted():
    found = {v.task: v for v in verdict(table({"a": (0.7, 0.99, 0.99), "b": (0.99, 0.7, 0.99)}))}
    assert found["a"].trusted.scale == "s"
    assert found["a"].failed.scale == "xs"
    # xs is right by luck: the larger s is not
    assert found["b"].trusted.scale == "m"
    assert found["overall"].trusted.scale == "m"
    assert found["overall"].failed.scale == "s"


def test_none_and_all():
    none = verdict(table({"a": (0.99, 0.99, 0.7)}))[0]
    assert none.trusted is None
    assert none.failed.scale == "m"
    every = verdict(table({"a": (1.0, 1.0, 1.0)}))[0]
    assert every.trusted.scale == "xs"
    assert every.failed is None


def test_words_are_two_sentences():
    found = verdict(table({"a": (0.92, 0.99, 0.99)}))
    told = words(found[0])
    assert told == (
        "On every task, s can be trusted to order pairs right in more than 90% of cases "
        "(95% confidence), at 1/10 of the reference's compute. "
        f"The next, xs, orders 92% of pairs right, which proves only {found[0].failed.bound:.0%}; "
        f"about {found[0].recipes} distributions instead of 25 or about {found[0].seeds} seeds "
        "instead of 2 would settle it if it stays so."
    )
    assert words(verdict(table({"a": (0.5, 0.5, 0.6)}))[1]) == (
        "On a, none of these scales is known to order pairs right in more than 90% of cases "
        "(95% confidence). m orders 60% of pairs right, which proves only "
        f"{intervals.decision_bound(np.asarray(0.6), 25):.0%}; neither more distributions nor more "
        "seeds are expected to lift it."
    )


def test_too_few_distributions_are_told():
    told = words(verdict(table({"a": (0.7, 0.8, 1.0)}, n=6))[1])
    assert told.endswith(
        "m orders 100% of pairs right, which proves only 79%; of 6 distributions even a perfect "
        "order proves only 79%, so at least 9 are needed."
    )
    bounds = [intervals.decision_bound(np.asarray(1.0), n) for n in (8, 9)]
    assert bounds[0] <= 0.9 < bounds[1]


def test_extrapolations_and_examples_are_no_scales():
    statistics = table({"a": (1.0, 1.0, 1.0)}).to_pylist()
    law = {**statistics[1], "proxy": "law2:xs+s", "value": 0.1, "compute_ratio": 8.0}
    assert law["statistic"] == "decision_accuracy"
    assert verdict(as_table([*statistics, law]))[0].trusted.scale == "xs"


def test_a_variant_of_equal_compute_does_not_end_the_tests():
    found = verdict(table({"a": (1.0, 0.6, 1.0)}, ratios=(100.0, 2.0, 2.0)))[1]
    # s comes before m, which has its compute
    assert found.trusted is None
    assert found.failed.scale == "s"
    found = verdict(table({"a": (1.0, 1.0, 0.6)}, ratios=(100.0, 2.0, 2.0)))[1]
    assert found.trusted.scale == "xs"


def test_unknown_compute_is_refused():
    with pytest.raises(UserError, match="order of their compute"):
        verdict(table({"a": (1.0, 1.0, 1.0)}, ratios=(np.nan,) * 3))
    with pytest.raises(UserError, match="shares"):
        verdict(table({"a": (1.0, 1.0, 1.0)}), level=90)


def test_recipes_needed_are_just_enough():
    need = recipes_needed(0.95, 6, 0.9, 0.95)
    bounds = [intervals.decision_bound(np.asarray(0.95), n) for n in (need - 1, need)]
    assert bounds[0] <= 0.9 < bounds[1]
    assert recipes_needed(0.9, 6, 0.9, 0.95) is None


def test_seeds_needed_follow_the_noise():
    def tested(ceiling):
        return Trial("s", 0.88, 0.8, 25, 10.0, 2.0, (ceiling, ceiling))

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
