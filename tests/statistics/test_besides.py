"""Rivals and checkpoints beside the scales: levels of their own, and no say in a verdict."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.tidy_tables import rows, tables

from proxyscale.base import artifacts
from proxyscale.statistics.all_statistics import every_statistic
from proxyscale.statistics.besides import Besides
from proxyscale.statistics.verdict import verdict
from proxyscale.statistics.verdict_words import claim, words

SPEC = {"reference": "ref", "confidence": 0.95, "groups": {"similar": ["d0", "d1", "d2", "d3"]}}


def study(seed=0, n=12):
    rng = np.random.default_rng(seed)
    found = {}
    for scale, r in (("xs", 0.3), ("s", 0.9), ("ref", 1.0)):
        found[scale] = {}
        for number, task in enumerate(("t", "u")):
            truth = np.random.default_rng(number).standard_normal(n)
            x = r * truth + np.sqrt(1 - r * r) * rng.standard_normal(n)
            noise = 0.02 * rng.standard_normal((n, 2))
            found[scale][task] = 5 + 0.1 * (x[:, None] + noise)
    return found


@pytest.fixture(scope="module")
def values():
    return study()


def rival_tables(values, like="ref"):
    """A rival that orders as a scale does."""
    mine = {t: 2 * v.mean(axis=1, keepdims=True) for t, v in values[like].items()}
    return tuple(tables({"ngram": mine}, role="rival", flops=1e4))


def checkpoints(values, shares=(0.25, 0.5)):
    parts = []
    for share in shares:
        losses, _ = tables(
            {s: {t: v + 1 - share for t, v in of.items()} for s, of in values.items()}
        )
        parts.append(losses.append_column("step", pa.repeat(pa.scalar(share), len(losses))))
    return artifacts.conform(pa.concat_tables(parts), "checkpoints")


def test_what_stands_beside_changes_no_row_of_the_scales(values):
    losses, runs = tables(values)
    alone = every_statistic(losses, runs, SPEC)
    beside = Besides(rival_tables(values), checkpoints(values))
    found = every_statistic(losses, runs, SPEC, besides=beside)
    rest = pc.is_in(found["level"], pa.array(["rival", "checkpoint"]))
    more = pc.match_substring(found["statistic"], "checkpoint_")
    kept = found.filter(pc.invert(pc.or_(rest, more)))
    keys = [(c, "ascending") for c in ("statistic", "group", "task", "proxy")]
    assert kept.sort_by(keys).equals(alone.sort_by(keys))
    assert [v._replace(rivals=()) for v in verdict(found)] == verdict(alone)


def test_rivals_and_checkpoints_are_read_as_proxies(values):
    losses, runs = tables(values)
    found = every_statistic(
        losses, runs, SPEC, besides=Besides(rival_tables(values), checkpoints(values))
    )
    rival = rows(found, level="rival", statistic="r2", group="all", task="t")
    assert [(r["proxy"], r["value"]) for r in rival] == [("ngram", pytest.approx(1))]
    assert rival[0]["compute_ratio"] == pytest.approx(1e11 / 1e4)
    early = rows(found, level="checkpoint", statistic="pearson", group="similar", task="u")
    ratios = {r["proxy"]: r["compute_ratio"] for r in early}
    # shifted by a constant, a checkpoint correlates as the end does; it costs its share
    assert ratios == pytest.approx(
        {
            f"{scale}@{share:g}": ratio / share
            for scale, ratio in (("xs", 100.0), ("s", 10.0), ("ref", 1.0))
            for share in (0.25, 0.5)
        }
    )
    ends = {
        r["proxy"]: r["value"] for r in rows(found, statistic="pearson", group="similar", task="u")
    }
    for scale in ("xs", "s"):
        assert ends[f"{scale}@0.5"] == pytest.approx(ends[scale])
    assert ends["ref@0.25"] == pytest.approx(1)
    # picks and regrets, too: the decision table reads them
    assert rows(found, level="rival", statistic="regret", group="all", task="objective")


def test_a_rival_with_the_name_of_a_scale_gives_way(values):
    losses, runs = tables(values)
    mine = tuple(tables({"xs": values["ref"]}, role="rival", flops=1e4))
    found = every_statistic(losses, runs, SPEC, besides=Besides(rivals=mine))
    assert "rival" not in found["level"].to_pylist()


def test_words_say_what_trains_nothing_and_orders_as_well(values):
    losses, runs = tables(values)
    found = every_statistic(losses, runs, SPEC, besides=Besides(rivals=rival_tables(values)))
    overall, _, t, _ = verdict(found)
    assert "On 2 of 2 tasks what trains nothing does as well as a proxy: on t ngram" in words(
        overall
    )
    share = rows(found, statistic="decision_accuracy", task="t", proxy="s", group="all")[0]["value"]
    assert (
        f"ngram, which trains nothing, orders 100% of pairs right, no fewer than s ({share:.0%})."
        in words(t)
    )
    worse = {s: {k: -v for k, v in tasks.items()} for s, tasks in values.items()}
    found = every_statistic(losses, runs, SPEC, besides=Besides(rivals=rival_tables(worse)))
    assert not any("trains nothing" in words(v) for v in verdict(found))


def test_the_first_sentence_says_where_a_group_turns_sign_or_regret():
    n, first = 12, 4
    rng = np.random.default_rng(3)
    truth = np.concatenate([np.linspace(0, 0.3, first), np.linspace(3, 9, n - first)])
    proxy = truth.copy()
    proxy[:first] = truth[:first][::-1]  # the similar ones are turned
    values = {
        s: {"t": 5 + x[:, None] + 0.001 * rng.standard_normal((n, 2))}
        for s, x in (("s", proxy), ("ref", truth))
    }
    losses, runs = tables(values)
    found = verdict(every_statistic(losses, runs, SPEC))[0]
    turned = found.contrary[0]
    assert (turned.group, turned.scale, turned.turned) == ("similar", "s", ("t",))
    assert "; among similar alone" in claim(found)
    assert "r of s has the other sign" in claim(found)
    # its pick among all is the one among the similar ones: that costs in both
    assert turned.costly == turned.free == ()
    spec = SPEC | {"groups": {"far": [f"d{i}" for i in range(first, n)]}}
    found = verdict(every_statistic(losses, runs, spec))[0]
    assert found.contrary[0].free == ("t",)
    assert claim(found).endswith("among far alone following s is not known to cost.")


def test_seeds_that_go_together_are_told_with_what_follows():
    rng = np.random.default_rng(5)
    n = 12
    truth, shared = rng.standard_normal((n, 1)), 0.1 * rng.standard_normal((n, 3))
    both = {s: {"t": 5 + truth + shared + 0.02 * rng.standard_normal((n, 3))} for s in ("s", "ref")}
    own = {s: {"t": 5 + truth + 0.1 * rng.standard_normal((n, 3))} for s in ("s", "ref")}
    turned = {"s": {"u": 10 + truth - (both["s"]["t"] - 5 - truth)}, "ref": {"u": both["ref"]["t"]}}
    two = {s: both[s] | turned[s] for s in both}
    told = [words(verdict(every_statistic(*tables(v), SPEC))[0]) for v in (both, own, two)]
    assert "Differences of s from seed to seed go with the reference's (r 0.9" in told[0]
    assert "so that R² may pass its ceiling." in told[0]
    assert "from seed to seed" not in told[1]
    # against each other they leave less to be explained, not more: the two ways are told apart
    assert "go with the reference's on t (r 0.9" in told[2]
    assert re.search(
        r"go against the reference's on u \(r -0\.9\d \[[^]]*\]\), so that R² may stay", told[2]
    )
