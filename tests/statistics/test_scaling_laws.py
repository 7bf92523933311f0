"""Laws through several proxies and mixture regressions, on data that follow them exactly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import kendalltau
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.scaling_laws import (
    extrapolate,
    leave_one_out_predictions,
    loss_to_loss,
    mixture_regression,
    power_law,
    scaling_law,
)

COMPUTE = np.array([1e12, 4e12, 2e13, 1e14])
TARGET = 1e16


def study(losses, compute):
    """Tables of losses [scales, recipes], scales named s0, s1, …, one seed, one task."""
    rows, runs = [], []
    for s, flops in enumerate(compute):
        for d, loss in enumerate(losses[s]):
            key = {"scale": f"s{s}", "distribution": f"d{d}", "draw": 0, "seed": 0}
            runs.append({**key, "role": "grid", "flops": flops})
            rows.append({**key, "task": "t", "example": 0, "loss": loss})
    return (
        artifacts.conform(pa.Table.from_pylist(rows), "losses"),
        artifacts.conform(pa.Table.from_pylist(runs), "runs"),
    )


def laws(rng, recipes=8):
    floor, scale = rng.uniform(1, 2, recipes), rng.uniform(20, 60, recipes)
    exponent = rng.uniform(0.08, 0.15, recipes)
    return lambda c: floor + scale * np.asarray(c)[..., None] ** -exponent


def test_laws_are_recovered():
    rng = np.random.default_rng(0)
    law = laws(rng)
    np.testing.assert_allclose(scaling_law(COMPUTE, law(COMPUTE), TARGET), law(TARGET), rtol=2e-3)
    pure = rng.uniform(20, 60, 8) * COMPUTE[:, None] ** -rng.uniform(0.05, 0.1, 8)
    expected = pure[-1] * (pure[-1] / pure[0]) ** (np.log(TARGET / 1e14) / np.log(100))
    np.testing.assert_allclose(power_law(COMPUTE, pure, TARGET), expected, rtol=1e-9)
    kappa = rng.uniform(0.8, 1.2, 8)
    anchor = np.array([5.0, 4.0, 3.0])
    predicted = loss_to_loss(1.5 * anchor[:, None] ** kappa, 0, 2.0)
    expected = 1.5 * (2.0 / 1.5) ** (kappa / kappa[0])
    np.testing.assert_allclose(predicted, expected, rtol=1e-9)


def test_a_loss_that_rises_is_not_extrapolated_upwards_without_end():
    losses = np.array([[2.0], [2.1], [2.2], [2.3]])
    assert scaling_law(COMPUTE, losses, TARGET)[0] == pytest.approx(2.15, abs=1e-9)


def test_crossing_curves_are_where_laws_win():
    law = laws(np.random.default_rng(3), recipes=12)
    compute = np.append(COMPUTE, TARGET)
    table = extrapolate(
        read_grid(*study(law(compute), compute)), reference="s4", groups={}
    ).to_pylist()
    found = {row["proxy"]: row for row in table}
    assert set(found) == {
        *("law2:s0+s1", "law2:s0+s1+s2", "law2:s0+s1+s2+s3"),
        *("loss_to_loss:s0+s1", "loss_to_loss:s0+s1+s2", "loss_to_loss:s0+s1+s2+s3"),
        *("law3:s0+s1+s2", "law3:s0+s1+s2+s3"),
    }
    best = found["law3:s0+s1+s2+s3"]
    assert best["value"] == 1
    assert best["low"] < 1
    assert best["compute_ratio"] == pytest.approx(TARGET / COMPUTE.sum())
    anchored = found["loss_to_loss:s0+s1"]
    assert anchored["n"] == 11
    assert anchored["compute_ratio"] == pytest.approx(TARGET / (5e12 + TARGET / 12))


def test_laws_of_all_distributions_are_judged_among_a_group():
    law = laws(np.random.default_rng(5), recipes=9)
    compute = np.append(COMPUTE, TARGET)
    losses, members = law(compute), ["d1", "d4", "d5", "d8"]
    grid = read_grid(*study(losses, compute))
    rows = extrapolate(grid, reference="s4", groups={"few": members, "two": members[:2]})
    found = {(row["group"], row["proxy"]): row for row in rows.to_pylist()}
    assert {group for group, _ in found} == {"all", "few"}
    mine = [grid.distributions.index(name) for name in members]
    predicted = power_law(COMPUTE[:2], losses[:2], TARGET)[mine]
    order = kendalltau(predicted, losses[4, mine]).statistic
    row = found["few", "law2:s0+s1"]
    assert row["value"] == pytest.approx((1 + order) / 2)
    assert row["n"] == 4
    assert row["compute_ratio"] == found["all", "law2:s0+s1"]["compute_ratio"]


def test_a_variant_of_equal_compute_enters_no_law():
    law = laws(np.random.default_rng(4))
    compute = np.array([1e12, 1e12, 1e13, 1e15])
    table = extrapolate(
        read_grid(*study(law(compute), compute)), reference="s3", groups={}
    ).to_pylist()
    assert {row["proxy"] for row in table} == {"law2:s0+s2", "loss_to_loss:s0+s2"}


def test_what_has_no_law_is_left_out_or_refused():
    losses = laws(np.random.default_rng(0))(COMPUTE)
    assert len(extrapolate(read_grid(*study(-losses, COMPUTE)), reference="s3", groups={})) == 0
    with pytest.raises(UserError, match="no compute is known for s2"):
        extrapolate(
            read_grid(*study(losses, [1e12, 1e13, np.nan, 1e15])), reference="s3", groups={}
        )


def test_leave_one_out_is_refitting():
    rng = np.random.default_rng(1)
    design = rng.dirichlet(np.ones(4), 15)
    y = rng.normal(size=15)
    model = LinearRegression(fit_intercept=False)
    expected = cross_val_predict(model, design, y, cv=LeaveOneOut())
    np.testing.assert_allclose(leave_one_out_predictions(design, y), expected, atol=1e-9)


def test_a_mixture_that_alone_holds_a_source_is_not_predicted_from_itself():
    design = np.array([[1.0, 0], [1, 0], [0, 1], [1, 0]])
    predicted = leave_one_out_predictions(design, np.array([1.0, 2, 9, 3]))
    np.testing.assert_allclose(predicted, [2.5, 2, 2, 1.5])


def test_mixture_regression_finds_the_best_mixture():
    rng = np.random.default_rng(2)
    weights = rng.dirichlet(np.ones(3), 30)
    effects = np.array([[5.0, 4, 3], [4, 3, 2.5], [3, 2.5, 2]])
    losses, runs = study((weights @ effects.T).T, [1, 10, 100])
    named = {f"d{i}": row for i, row in enumerate(weights)}
    rows = mixture_regression(named, read_grid(losses, runs), reference="s2", groups={}).to_pylist()
    found = {(row["proxy"], row["statistic"]): row for row in rows}
    assert {proxy for proxy, _ in found} == {"s0", "s1"}
    for proxy in ("s0", "s1"):
        assert found[proxy, "mixture_linear_regret"]["value"] == pytest.approx(0, abs=1e-6)
        assert found[proxy, "reference_mixture_linear_spearman"]["value"] == pytest.approx(1)
        assert found[proxy, "mixture_log_linear_spearman"]["value"] > 0.95
    grouped = mixture_regression(
        named, read_grid(losses, runs), reference="s2", groups={"few": ["d3", "d7", "d9", "d20"]}
    ).to_pylist()
    few = [row for row in grouped if row["group"] == "few"]
    assert [row for row in grouped if row["group"] == "all"] == rows
    assert {row["n"] for row in few} == {4}
    assert {row["value"] for row in few if row["statistic"] == "mixture_linear_spearman"} == {1.0}
    with pytest.raises(UserError, match="no weights"):
        mixture_regression({"d0": [1, 0, 0]}, read_grid(losses, runs), reference="s2", groups={})
