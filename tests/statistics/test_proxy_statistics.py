"""Statistics from tidy tables: oracles, holes, seeds, groups, examples and published runs."""

from __future__ import annotations

import itertools
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
from proxyscale.statistics import intervals, measures
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.measures import correlations, decisions, leave_one_out, pearson
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
    table = summarize(read_grid(*study(grid_of(x, z, y))), reference="ref", groups={})
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
    accuracy, pairs, tied, reference_tied = decisions(x, y)
    right = [
        0.5 if x[i] == x[j] else float((x[i] < x[j]) == (y[i] < y[j]))
        for i in range(len(x))
        for j in range(i)
        if y[i] != y[j]
    ]
    assert pairs == len(right)
    assert np.isnan(accuracy) if not right else accuracy == pytest.approx(np.mean(right))
    assert np.isnan(tied) if not right else tied == pytest.approx(np.mean(np.equal(right, 0.5)))
    assert reference_tied == pytest.approx(1 - len(right) / (len(x) * (len(x) - 1) / 2))
    kendall = stats.kendalltau(x, y).statistic
    assert correlations(x, y)["kendall"] == pytest.approx(kendall, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 2**31))
def test_correlations_ignore_units(factor, shift, seed):
    x, y = np.random.default_rng(seed).normal(size=(2, 8))
    assert pearson(factor * x + shift, y) == pytest.approx(pearson(x, y), abs=1e-9)
    assert decisions(factor * x + shift, y) == decisions(x, y)


def test_without_ties_decision_accuracy_is_kendall():
    x, y = np.random.default_rng(1).normal(size=(2, 12))
    assert decisions(x, y).accuracy == pytest.approx((1 + stats.kendalltau(x, y)[0]) / 2)


def test_many_points_are_counted_as_few_ones_are(monkeypatch):
    rng = np.random.default_rng(3)
    x, noise = rng.normal(size=(2, 700))
    x, y = x.round(1), (x + 0.5 * noise).round(1)
    assert correlations(x, y)["kendall"] == pytest.approx(stats.kendalltau(x, y)[0], abs=1e-12)
    assert correlations(x, y)["spearman"] == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)
    whole = decisions(x, y, lambda i, j: (i + j) / 700)
    monkeypatch.setattr(measures, "BLOCK", 5_000)  # a hundred blocks
    assert decisions(x, y, lambda i, j: (i + j) / 700) == whole
    assert decisions(x, y, lambda i, j: np.zeros(len(i))) == decisions(x, y)


def test_decided_pairs_need_a_difference_above_their_margin():
    y, margins = np.array([0.0, 1.4, 1.6]), {(0, 1): 1.45, (0, 2): 1.5, (1, 2): np.nan}

    def margin(i, j):
        return np.array([margins[pair] for pair in zip(i.tolist(), j.tolist(), strict=True)])

    # of the pairs 01, 02, 12 only the second is decided; what no margin is known of is not
    assert decisions(np.array([0.0, 1, 2]), y, margin)[:2] == (1.0, 1)
    assert decisions(np.array([2.0, 1, 0]), y, margin)[:2] == (0.0, 1)


def test_leave_one_out_range_finds_the_lever():
    x, y = np.random.default_rng(2).normal(size=(2, 9))
    x[0] = y[0] = 30
    each = [stats.pearsonr(np.delete(x, i), np.delete(y, i))[0] for i in range(9)]
    np.testing.assert_allclose(leave_one_out(x, y), each, atol=1e-9)
    table = summarize(read_grid(*study(grid_of(x, x, y))), reference="ref", groups={})
    row = pick(table, statistic="r2_leave_one_out", proxy="xs")
    assert row["named"] == "d0"
    squares = np.square(each)
    assert [row["low"], row["high"]] == pytest.approx([squares.min(), squares.max()], abs=1e-5)


def test_draws_and_seeds_are_averaged_and_give_the_noise():
    rng = np.random.default_rng(7)
    levels = np.linspace(1, 4, 40)
    losses, runs = study(grid_of(levels, levels, levels), noise=0.2, seeds=3, rng=rng)
    table = summarize(read_grid(losses, runs), reference="ref", groups={})
    row = pick(table, statistic="reference_seed_sd", proxy="xs")
    assert row["low"] < 0.2 < row["high"]
    assert pick(table, statistic="seeds", proxy="xs")["value"] == pytest.approx(3)
    means = read_grid(losses, runs).means("t")
    at = pick(table, statistic="r2", proxy="xs")
    assert at["value"] == pytest.approx(stats.pearsonr(means[0], means[2])[0] ** 2, abs=1e-9)
    # closed form: 1 − mean(s²ᵢ)/3/Var(means), where each has its own and where they pool alike
    between = means[2].var(ddof=1)
    assert at["ceiling"] == pytest.approx(1 - row["value"] ** 2 / 3 / between, abs=1e-9)
    pearson_row = pick(table, statistic="pearson", proxy="xs")
    assert pearson_row["ceiling"] == pytest.approx(np.sqrt(at["ceiling"]), abs=1e-12)
    corrected = pick(table, statistic="pearson_corrected", proxy="xs")["value"]
    assert corrected == pytest.approx(min(1, pearson_row["value"] / pearson_row["ceiling"]))


def test_noise_is_a_groups_own():
    """Far-off sources are noisier: neither the others' ceiling nor their decided pairs know it."""
    rng = np.random.default_rng(2)
    levels = np.concatenate([np.linspace(1, 1.5, 6), np.linspace(4, 8, 4)])
    names = [f"d{i}" for i in range(10)]
    losses, runs = [], []
    for scale, flops in SCALES.items():
        for place, name in enumerate(names):
            for seed in range(3):
                key = {"scale": scale, "distribution": name, "draw": 0, "seed": seed}
                runs.append({**key, "role": "grid", "flops": flops})
                loss = levels[place] + (0.02 if place < 6 else 0.5) * rng.standard_normal()
                losses.append({**key, "task": "t", "example": 0, "loss": loss})
    tables = as_kind(losses, "losses"), as_kind(runs, "runs")
    table = summarize(read_grid(*tables), reference="ref", groups={"near": names[:6]})
    grid = read_grid(*tables)
    values = grid.losses["t"][grid.cell // 10 == 2, 0].reshape(10, 3)
    own = values.var(axis=1, ddof=1)
    near = pick(table, statistic="r2", proxy="xs", group="near")
    expected = 1 - own[:6].mean() / 3 / values[:6].mean(axis=1).var(ddof=1)
    assert near["ceiling"] == pytest.approx(expected)
    assert near["ceiling"] > 0.95
    sd = pick(table, statistic="reference_seed_sd", proxy="xs", group="near")
    assert sd["value"] == pytest.approx(np.sqrt(own[:6].mean()))
    equality = pick(table, statistic="reference_seed_equality", proxy="xs", group="all")
    assert equality["value"] < 0.001
    assert equality["high"] == pytest.approx(own[6:].mean() / own[:6].mean())
    whole = pick(table, statistic="r2", proxy="xs", group="all")
    expected = 1 - own.mean() / 3 / values.mean(axis=1).var(ddof=1)
    assert whole["ceiling"] == pytest.approx(expected)
    decided = pick(table, statistic="decision_accuracy_decided", proxy="xs", group="near")
    assert decided["n"] > 10


def test_what_a_scale_would_pick_and_what_it_costs():
    x, y = np.array([3.0, 1, 2, 4, 5]), np.array([1.0, 3, 2, 4, 6])
    table = summarize(read_grid(*study(grid_of(x + 2, x, y))), reference="ref", groups={})

    def row(statistic):
        return pick(table, statistic=statistic, proxy="xs")

    assert (row("pick")["named"], row("pick")["value"]) == ("d1", 3)
    assert (row("reference_pick")["named"], row("reference_pick")["value"]) == ("d0", 1)
    assert (row("regret")["value"], row("regret")["unit"]) == (2, "loss")
    # from 1 to 3 where the loss falls from s to ref by nothing: it cannot be told
    assert not [r for r in table.to_pylist() if r["statistic"] == "regret_compute"]
    # halving the loss with ten times the compute: 3 → 1 takes 10^(ln 3/ln 2)
    table = summarize(read_grid(*study(grid_of(x, 2 * y, y))), reference="ref", groups={})
    assert row("regret_compute")["value"] == pytest.approx(10 ** (np.log(3) / np.log(2)))
    # two-sided, the interval reaches further up than what is excluded on one side alone
    ahead, excluded = row("regret_next"), row("regret_next_excluded")["value"]
    assert 0 <= ahead["low"] < ahead["value"] < excluded < ahead["high"]


def test_r2_of_the_logarithms_stands_beside():
    rng = np.random.default_rng(8)
    x, y = np.exp(rng.normal(0, 1, (2, 9)))
    table = summarize(read_grid(*study(grid_of(x, x - 1, y))), reference="ref", groups={})
    found = pick(table, statistic="r2_log", proxy="xs")["value"]
    assert found == pytest.approx(stats.pearsonr(np.log(x), np.log(y))[0] ** 2)
    assert pick(table, statistic="r2_log", proxy="s")["value"] is None


def test_one_seed_has_no_ceiling():
    rng = np.random.default_rng(0)
    values = grid_of(*rng.normal(3, 1, (3, 6)))
    table = summarize(read_grid(*study(values, seeds=1)), reference="ref", groups={})
    assert pick(table, statistic="r2", proxy="xs")["ceiling"] is None
    assert not [r for r in table.to_pylist() if r["statistic"] == "decision_accuracy_decided"]


def test_only_the_grid_and_its_groups_enter():
    rng = np.random.default_rng(4)
    x, z, y = rng.normal(3, 1, (3, 8))
    losses, runs = study(grid_of(x, z, y), roles={"d7": "selection"})
    table = summarize(
        read_grid(losses, runs), reference="ref", groups={"near": ["d0", "d2", "d3", "d4"]}
    )
    for group, members in (("all", range(7)), ("near", [0, 2, 3, 4])):
        row = pick(table, statistic="pearson", proxy="s", group=group)
        members = list(members)
        expected = stats.pearsonr(z.astype("f4")[members], y.astype("f4")[members])[0]
        assert row["value"] == pytest.approx(expected, abs=1e-6)
        assert row["n"] == len(members)
    with pytest.raises(UserError, match=r"groups\.far"):
        summarize(read_grid(losses, runs), reference="ref", groups={"far": ["d9"]})
    with pytest.raises(UserError, match="did you mean 'ref'"):
        summarize(read_grid(losses, runs), reference="reff", groups={})


def test_per_example_r2():
    rng = np.random.default_rng(6)
    values = {s: {f"d{i}": rng.normal(3, 1, 5) for i in range(7)} for s in SCALES}
    groups = {"few": ["d1", "d2", "d5", "d6"], "two": ["d0", "d1"]}
    table = summarize(read_grid(*study(values)), reference="ref", groups=groups)
    members = {"all": [f"d{i}" for i in range(7)], "few": groups["few"]}
    for group, example in itertools.product(members, range(5)):
        x, y = (
            [values[s][name][example].astype("f4") for name in members[group]]
            for s in ("xs", "ref")
        )
        row = pick(table, level="example", proxy="xs", example=example, group=group)
        assert row["value"] == pytest.approx(stats.pearsonr(x, y)[0] ** 2, abs=1e-6)
        assert row["low"] <= row["value"] <= row["high"]
    assert len([r for r in table.to_pylist() if r["level"] == "example"]) == 20


def test_constant_losses_are_null_not_a_number():
    table = summarize(
        read_grid(*study(grid_of(np.ones(6), np.arange(6), np.arange(6)))),
        reference="ref",
        groups={},
    )
    assert pick(table, statistic="r2", proxy="xs")["value"] is None
    assert pick(table, statistic="decision_accuracy", proxy="xs")["value"] == 0.5
    assert pick(table, statistic="proxy_ties", proxy="xs")["value"] == 1
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
    one = summarize(read_grid(losses, runs), reference="ref", groups={})
    two = summarize(read_grid(losses.take(order), runs), reference="ref", groups={})
    np.testing.assert_allclose(one["value"].to_numpy(), two["value"].to_numpy(), atol=1e-12)
    artifacts.conform(one, "statistics")


REGMIX = Path(os.environ.get("PROXYSCALE_DATA", "")) / "results" / "regmix"


@pytest.mark.skipif(not os.environ.get("PROXYSCALE_DATA"), reason="needs PROXYSCALE_DATA")
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
    table = summarize(
        read_grid(as_kind(losses, "losses"), as_kind(runs, "runs")), reference="60m", groups={}
    )
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
