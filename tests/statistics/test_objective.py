"""The objective: one definition, of runs and of means, at every scale."""

from __future__ import annotations

import numpy as np
import pytest
from support.synthetic_study import DISTRIBUTIONS, SCALES, synthetic

from proxyscale.base.errors import UserError
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.objective import NAME, in_sds, with_objective

TASKS = ("a", "b", "flat")


@pytest.fixture(scope="module")
def grid():
    study = synthetic(tasks=TASKS, examples=3, flat="flat", scales={"s": 20_000, "ref": 90_000})
    return read_grid(study["losses"], study["runs"])


def by_hand(grid, scale, objective):
    means = {task: grid.means(task)[scale] for task in ("a", "b")}
    apart = {task: (v - v.min()) / v.std(ddof=1) for task, v in means.items()}
    if objective == "worst":
        return np.maximum(apart["a"], apart["b"])
    if objective == "standardized":
        return sum(v / v.std(ddof=1) for v in means.values()) / len(TASKS)
    return (means["a"] + 3 * means["b"]) / 4


@pytest.mark.parametrize("objective", ["standardized", "worst", {"weights": {"a": 1, "b": 3}}])
def test_it_is_what_it_says_at_every_scale(grid, objective):
    found = with_objective(grid, objective)
    assert found.tasks == [*TASKS, NAME]
    for scale in range(2):
        expected = by_hand(grid, scale, objective)
        np.testing.assert_allclose(found.means(NAME)[scale], expected, rtol=1e-9)
    assert in_sds(objective) == isinstance(objective, str)


def test_seed_noise_is_that_of_the_runs_objective(grid):
    found = with_objective(grid, {"weights": {"a": 1, "b": 1}})
    runs = [grid.losses[task].mean(axis=1) for task in ("a", "b")]
    np.testing.assert_allclose(found.losses[NAME][:, 0], np.mean(runs, axis=0))
    # the worst task's runs scatter about its means as the runs of that task do
    worst = with_objective(grid, "worst")
    assert np.ptp(worst.losses[NAME][worst.cell == 0]) > 0


def test_one_task_is_its_own_objective():
    study = synthetic(tasks=("a",), examples=2, scales={"s": 20_000, "ref": 90_000})
    grid = read_grid(study["losses"], study["runs"])
    assert with_objective(grid, "worst") is grid


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("mean", "no such objective"),
        ({"weights": {"c": 1}}, "no such task"),
        ({"weights": {"a": -1}}, "0 or more"),
        ({"weights": {"a": 0}}, "all weights are 0"),
    ],
)
def test_mistakes_are_told(grid, objective, message):
    with pytest.raises(UserError, match=message):
        with_objective(grid, objective)


def test_a_task_may_not_take_its_name():
    with pytest.raises(UserError, match="what combines tasks"):
        synthetic(tasks=("a", NAME), examples=2, scales={"s": 20_000, "ref": 90_000})


def test_statistics_have_it_with_its_unit():
    study = synthetic(tasks=("a", "b"), examples=2, scales=dict(list(SCALES.items())[-2:]))
    rows = [r for r in study["statistics"].to_pylist() if r["task"] == NAME]
    assert {r["group"] for r in rows} == {"all", "similar"}
    unit = {r["statistic"]: r["unit"] for r in rows}
    assert unit["regret_next"] == "sd over recipes"
    assert unit["r2"] is None
    assert "regret_compute" not in unit  # no law of compute holds for standardized losses
    picks = {r["named"] for r in rows if r["statistic"] == "pick"}
    assert picks <= set(DISTRIBUTIONS)
