"""Statistics from tidy tables: oracles, holes, seeds, groups, examples and published runs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.statistics import intervals
from proxyscale.statistics.grid import read_grid
from proxyscale.statistics.measures import (
    Noise,
    correlations,
    decision_accuracy,
    leave_one_out,
    pearson,
    regret,
)
from proxyscale.statistics.proxy_statistics import summarize

SCALES = {"xs": 1e12, "s": 1e13, "ref": 1e14}


def study(values, *, flops=SCALES, roles=None, noise=0.0, seeds=2, rng=None):
    """Losses and runs tables of `values[scale][distribution] = [examples]`, one task `t`."""
    rng = rng or np.random.default_rng(0)
    losses, runs = [], []
    for scale, distributions in values.items():
        for distribution, examples in distributions.items():
            for seed in range(seeds):
                key = {"scale": scale, "distribution": distribution, "draw": 0, "seed": seed}
                role = (roles or {}).get(distribution, "grid")
                runs.append({**key, "role": role, "flops": flops[scale]})
                shift = noise * rng.standard_normal()
                losses += [
                    {**key, "task": "t", "example": i, "loss": loss + shift}
                    for i, loss in enumerate(np.atleast_1d(examples))
                ]
    return as_kind(losses, "losses"), as_kind(runs, "runs")


def as_kind(rows, kind):
    return artifacts.conform(pa.Table.from_pylist(rows), kind)


def grid_of(*columns, names=tuple(SCALES)):
    """Values per scale: one number per distribution a, b, c, …"""
    return {
        scale: {f"d{i}": value for i, value in enumerate(column)}
        for scale, column in zip(names, columns, strict=True)
    }


def pick(table, **where):
    rows = [r for r in table.to_pylist() if all(r[k] == v for k, v in where.items())]
    assert len(rows) == 1, rows
    return rows[0]


def test_values_agree_with_scipy():
    rng = np.random.default_rng(3)
    x, z, y = rng.normal(3, 1, (3, 10)).astype(np.float32).astype(float)
    table = summarize(*study(grid_of(x, z, y)), reference="ref", groups={})
    for proxy, values in (("xs", x), ("s", z)):
        expected = {
            "pearson": stats.pearsonr(values, y)[0],
            "r2": stats.linregress(values, y).rvalue ** 2,
            "spearman": stats.spearmanr(values, y)[0],
            "kendall": stats.kendalltau(values, y)[0],
        }
        for name, value in expected.items():
            row = pick(table, statistic=name, proxy=proxy, group="all")
            assert row["value"] == pytest.approx(value, abs=1e-9)
            assert row["low"] <= row["value"] <= row["high"]
            assert row["n"] == 10
    assert pick(table, statistic="r2", proxy="xs")["compute_ratio"] == 100


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12))
def test_ties_are_handled_as_defined(points):
    x, y = np.array(points, dtype=float).T
    accuracy, pairs = decision_accuracy(x, y)
    right = [
        (x[i] < x[j]) == (y[i] < y[j]) and x[i] != x[j]
        for i in range(len(x))
        for j in range(i)
        if y[i] != y[j]
    ]
    assert pairs == len(right)
    assert np.isnan(accuracy) if not right else accuracy == pytest.approx(np.mean(right))
    kendall = stats.kendalltau(x, y).statistic
    assert correlations(x, y)["kendall"] == pytest.approx(kendall, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 2**31))
def test_correlations_ignore_units(factor, shift, seed):
    x, y = np.random.default_rng(seed).normal(size=(2, 8))
    assert pearson(factor * x + shift, y) == pytest.approx(pearson(x, y), abs=1e-9)
    assert decision_accuracy(factor * x + shift, y) == decision_accuracy(x, y)


def test_without_ties_decision_accuracy_is_kendall():
    x, y = np.random.default_rng(1).normal(size=(2, 12))
    assert decision_accuracy(x, y)[0] == pytest.approx((1 + stats.kendalltau(x, y)[0]) / 2)


def test_decided_pairs_need_a_difference_above_seed_noise():
    noise = Noise(variance=0.5, degrees=3, counts=np.array([2, 2, 4]))
    y = np.array([0.0, 1.4, 1.6])
    # limits: 2·√(.5·(1/2 + 1/2)) = 1.414 and 2·√(.5·(1/2 + 1/4)) = 1.225
    assert decision_accuracy(np.array([0.0, 1, 2]), y, noise) == (1.0, 1)
    assert decision_accuracy(np.array([2.0, 1, 0]), y, noise) == (0.0, 1)


def test_regret_is_the_cost_of_the_proxys_pick():
    quiet = Noise(np.nan, 0, np.ones(4))
    reference = np.array([2.0, 1.0, 1.5, 3.0])
    proxy = np.array([0.0, 2.0, 1.0, 3.0])
    assert regret(proxy, reference, quiet, 1, 0.95)[0] == pytest.approx(1.0)
    assert regret(proxy, reference, quiet, 2, 0.95)[0] == pytest.approx(0.5)
    assert regret(proxy, reference, quiet, 3, 0.95)[0] == 0
    assert np.isnan(regret(proxy, reference, quiet, 1, 0.95)[1])
    # a negated metric (accuracy) may be negative throughout: regret stays in its units, never < 0
    assert regret(proxy, reference - 10, quiet, 1, 0.95)[0] == pytest.approx(1.0)


def test_the_interval_of_regret_covers():
    rng = np.random.default_rng(5)
    truth = np.array([1.0, 1.02, 1.05, 1.1, 1.3, 1.5])
    covered = []
    for _ in range(1500):
        seeds = truth + 0.03 * rng.standard_normal((2, 6))
        noise = Noise(float(seeds.var(axis=0, ddof=1).mean()), 6, np.full(6, 2))
        proxy = truth + 0.1 * rng.standard_normal(6)
        _, low, high = regret(proxy, seeds.mean(axis=0), noise, 1, 0.95)
        actual = truth[np.argmin(proxy)] - truth.min()
        covered.append(low <= actual <= high)
    assert np.mean(covered) > 0.94


def test_leave_one_out_range_finds_the_lever():
    x, y = np.random.default_rng(2).normal(size=(2, 9))
    x[0] = y[0] = 30
    each = [stats.pearsonr(np.delete(x, i), np.delete(y, i))[0] ** 2 for i in range(9)]
    np.testing.assert_allclose(leave_one_out(x, y), each, atol=1e-9)
    assert np.argmin(each) == 0


def test_draws_and_seeds_are_averaged_and_give_the_noise():
    rng = np.random.default_rng(7)
    levels = np.linspace(1, 4, 40)
    losses, runs = study(grid_of(levels, levels, levels), noise=0.2, seeds=3, rng=rng)
    table = summarize(losses, runs, reference="ref", groups={})
    row = pick(table, statistic="reference_seed_sd", proxy="xs")
    assert row["low"] < 0.2 < row["high"]
    assert pick(table, statistic="seeds", proxy="xs")["value"] == pytest.approx(3)
    means = read_grid(losses, runs).means("t")
    at = pick(table, statistic="r2", proxy="xs")
    assert at["value"] == pytest.approx(stats.pearsonr(means[0], means[2])[0] ** 2, abs=1e-9)
    # closed form: 1 − (s²/3)/Var(means)
    between = means[2].var(ddof=1)
    assert at["ceiling"] == pytest.approx(1 - row["value"] ** 2 / 3 / between, abs=1e-9)
    pearson_row = pick(table, statistic="pearson", proxy="xs")
    assert pearson_row["ceiling"] == pytest.approx(np.sqrt(at["ceiling"]), abs=1e-12)
    corrected = pick(table, statistic="pearson_corrected", proxy="xs")["value"]
    assert corrected == pytest.approx(min(1, pearson_row["value"] / pearson_row["ceiling"]))


def test_one_seed_has_no_ceiling():
    rng = np.random.default_rng(0)
    values = grid_of(*rng.normal(3, 1, (3, 6)))
    table = summarize(*study(values, seeds=1), reference="ref", groups={})
    assert pick(table, statistic="r2", proxy="xs")["ceiling"] is None
    assert not [r for r in table.to_pylist() if r["statistic"] == "decision_accuracy_decided"]


def test_only_the_grid_and_its_groups_enter():
    rng = np.random.default_rng(4)
    x, z, y = rng.normal(3, 1, (3, 8))
    losses, runs = study(grid_of(x, z, y), roles={"d7": "selection"})
    table = summarize(losses, runs, reference="ref", groups={"near": ["d0", "d2", "d3", "d4"]})
    for group, members in (("all", range(7)), ("near", [0, 2, 3, 4])):
        row = pick(table, statistic="pearson", proxy="s", group=group)
        members = list(members)
        expected = stats.pearsonr(z.astype("f4")[members], y.astype("f4")[members])[0]
        assert row["value"] == pytest.approx(expected, abs=1e-6)
        assert row["n"] == len(members)
    with pytest.raises(UserError, match=r"groups\.far"):
        summarize(losses, runs, reference="ref", groups={"far": ["d9"]})
    with pytest.raises(UserError, match="did you mean 'ref'"):
        summarize(losses, runs, reference="reff", groups={})


def test_per_example_r2():
    rng = np.random.default_rng(6)
    values = {s: {f"d{i}": rng.normal(3, 1, 5) for i in range(7)} for s in SCALES}
    table = summarize(*study(values), reference="ref", groups={})
    for example in range(5):
        x, y = ([v[example].astype("f4") for v in values[s].values()] for s in ("xs", "ref"))
        row = pick(table, level="example", proxy="xs", example=example)
        assert row["value"] == pytest.approx(stats.pearsonr(x, y)[0] ** 2, abs=1e-6)
        assert row["low"] <= row["value"] <= row["high"]
    assert len([r for r in table.to_pylist() if r["level"] == "example"]) == 10


def test_constant_losses_are_null_not_a_number():
    table = summarize(
        *study(grid_of(np.ones(6), np.arange(6), np.arange(6))), reference="ref", groups={}
    )
    assert pick(table, statistic="r2", proxy="xs")["value"] is None
    assert pick(table, statistic="decision_accuracy", proxy="xs")["value"] == 0
    assert pick(table, statistic="r2", proxy="s")["value"] == 1


def test_holes_are_named():
    losses, runs = study(grid_of(*np.random.default_rng(0).normal(3, 1, (3, 4))))
    keep = [not (r["scale"] == "s" and r["distribution"] == "d2") for r in losses.to_pylist()]
    with pytest.raises(UserError, match=r"2 holes: s / d2 \(draw 0, seed 0\) / t"):
        read_grid(losses.filter(pa.array(keep)), runs)
    keep = [not (r["scale"] == "s" and r["distribution"] == "d2") for r in runs.to_pylist()]
    with pytest.raises(UserError, match="1 hole: s / d2 / every task"):
        read_grid(losses, runs.filter(pa.array(keep)))
    with pytest.raises(UserError, match="given twice"):
        read_grid(pa.concat_tables([losses, losses[:1]]), runs)
    with pytest.raises(UserError, match="not a finite number"):
        read_grid(_first_loss(losses, np.inf), runs)


def _first_loss(losses, value):
    column = losses["loss"].to_numpy().copy()
    column[0] = value
    index = losses.column_names.index("loss")
    return losses.set_column(index, "loss", pa.array(column))


def test_row_order_does_not_matter():
    values = {
        s: {f"d{i}": np.random.default_rng(i).normal(3, 1, 4) for i in range(6)} for s in SCALES
    }
    losses, runs = study(values, noise=0.1)
    order = np.random.default_rng(1).permutation(len(losses))
    one = summarize(losses, runs, reference="ref", groups={})
    two = summarize(losses.take(order), runs, reference="ref", groups={})
    np.testing.assert_allclose(one["value"].to_numpy(), two["value"].to_numpy(), atol=1e-12)
    artifacts.conform(one, "statistics")


REGMIX = Path(os.environ.get("PROXYSCALE_DATA", "")) / "results" / "regmix"


@pytest.mark.skipif("PROXYSCALE_DATA" not in os.environ, reason="needs PROXYSCALE_DATA")
def test_published_regmix_runs_agree_with_scipy():
    files = {scale: csv.read_csv(REGMIX / f"test_pile_loss_{scale}.csv") for scale in ("1m", "60m")}
    metrics = [name for name in files["1m"].column_names if name.startswith("metric/")]
    assert len(metrics) == 13
    losses, runs = [], []
    for scale, table in files.items():
        for row in table.to_pylist():
            key = {"scale": scale, "distribution": str(row["index"]), "draw": 0, "seed": 0}
            runs.append({**key, "role": "grid", "flops": {"1m": 1.0, "60m": 60.0}[scale]})
            losses += [{**key, "task": m, "example": 0, "loss": row[m]} for m in metrics]
    table = summarize(as_kind(losses, "losses"), as_kind(runs, "runs"), reference="60m", groups={})
    small, large = (
        files[scale].sort_by("index").to_pandas().set_index("index") for scale in ("1m", "60m")
    )
    for metric in metrics:
        x, y = small[metric].to_numpy(), large[metric].to_numpy()
        expected = {
            "r2": stats.pearsonr(x, y)[0] ** 2,
            "spearman": stats.spearmanr(x, y)[0],
            "kendall": stats.kendalltau(x, y)[0],
        }
        for name, value in expected.items():
            row = pick(table, statistic=name, task=metric)
            assert row["value"] == pytest.approx(value, abs=1e-9)
            assert row["n"] == 256
        assert np.isclose(pick(table, statistic="seeds", task=metric)["value"], 1)
        accuracy = pick(table, statistic="decision_accuracy", task=metric)
        assert accuracy["low"] < accuracy["value"] < accuracy["high"]
        assert intervals.decision_bound(np.asarray(accuracy["value"]), 256) > accuracy["low"]
