"""The objective: one number of a recipe's losses on all tasks, the lower the better.

- `{"weights": {task: w}}`: the mean of the losses with these weights, in their own unit.
- `standardized`: the mean over tasks of L_t/sd_t, in standard deviations over recipes.
- `worst`: the largest over tasks of (L_t − min L_t)/sd_t, in the same unit.

sd_t and the minimum are over the grid's recipes at that scale, seeds averaged. Metrics where higher
is better are negated when they are read. A task of which all recipes have one loss has no say.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.statistics.grid import Array, Grid

NAME = "objective"  # as a task's, in the statistics
STANDARDIZED, WORST = "standardized", "worst"
Objective = str | Mapping[str, Mapping[str, float]]


def in_sds(objective: Objective) -> bool:
    """Whether it is in standard deviations over recipes, not in a unit of losses."""
    return isinstance(objective, str)


def with_objective(grid: Grid, objective: Objective) -> Grid:
    """The grid with one task more, named `objective`; itself where there is one task alone.

    A run that lacks one of the tasks has no objective, and a metric of which nobody says whether
    higher is better has no say unless it is given a weight. UserError for unknown tasks.
    """
    if NAME in grid.tasks:
        hint = "call that task something else"
        raise UserError("is the name of what combines tasks", where=f"tasks.{NAME}", hint=hint)
    weights = _weights(grid.tasks, objective)
    told = {task for task in grid.tasks if grid.better[task] != "unknown"}
    tasks = [
        task for task in grid.tasks if (task in told if weights is None else weights.get(task))
    ]
    if len(grid.tasks) < 2 or not tasks:
        return grid
    losses = np.stack([grid.losses[task].mean(axis=1) for task in tasks])  # [tasks, runs]
    means = np.stack([grid.means(task) for task in tasks])  # [tasks, scales, distributions]
    scale = grid.cell // len(grid.distributions)
    if weights is not None:
        shares = np.array([weights[task] for task in tasks])
        found = shares @ losses / shares.sum()
    else:
        units, least = _units(means)
        found = _combined(grid, losses, means, units, least, scale, objective)
    return replace(
        grid,
        tasks=[*grid.tasks, NAME],
        examples={**grid.examples, NAME: np.zeros(1, dtype=np.uint32)},
        losses={**grid.losses, NAME: found[:, None]},
        better={**grid.better, NAME: "lower"},
    )


def _units(means: Array) -> tuple[Array, Array]:
    """1/sd, 0 of a task on which all recipes are alike, and the least: of means [..., recipes]."""
    with warnings.catch_warnings():  # of a scale that lacks a task altogether
        warnings.simplefilter("ignore", RuntimeWarning)
        sd, least = np.nanstd(means, axis=-1, ddof=1), np.nanmin(means, axis=-1)
    flat = ~(sd > 1e-12 * np.abs(least))
    return np.where(flat, 0.0, 1 / np.where(flat, 1, sd)), least


def objective_of(
    objective: Objective, tasks: Sequence[str], means: Array
) -> Callable[[Array], Array]:
    """The objective as a function of losses [n, tasks] → [n], in the units of one scale's recipes.

    `means` [recipes, tasks]: their mean losses, NaN where there is none. Of one task alone it is
    the loss itself. UserError as from `with_objective`.
    """
    weights = _weights(tasks, objective)
    if len(tasks) < 2:
        return lambda losses: losses[:, 0]
    if weights is not None:
        shares = np.array([weights.get(task, 0.0) for task in tasks])
        return lambda losses: losses @ shares / shares.sum()
    units, least = _units(means.T)
    if objective == STANDARDIZED:
        return lambda losses: (losses * units).mean(axis=1)
    return lambda losses: ((losses - least) * units).max(axis=1)


def _combined(
    grid: Grid,
    losses: Array,
    means: Array,
    units: Array,
    least: Array,
    scale: Array,
    objective: Objective,
) -> Array:
    """`standardized` or `worst`, of every run [runs]."""
    if objective == STANDARDIZED:
        found: Array = (losses * units[:, scale]).mean(axis=0)
        return found
    worst = ((losses - least[:, scale]) * units[:, scale]).max(axis=0)
    # the objective of a recipe is that of its mean losses; runs scatter about it as their own do
    whole = ((means - least[..., None]) * units[..., None]).max(axis=0).ravel()
    counts = np.maximum(np.bincount(grid.cell, minlength=whole.size), 1)
    centre = np.bincount(grid.cell, worst, whole.size) / counts
    shifted: Array = worst + (whole - centre)[grid.cell]
    return shifted


def _weights(tasks: Sequence[str], objective: Objective) -> Mapping[str, float] | None:
    """The weights, or None for a named objective. UserError for what is neither."""
    if isinstance(objective, str):
        if objective not in (STANDARDIZED, WORST):
            allowed = [STANDARDIZED, WORST, "weights"]
            raise UserError("no such objective", where=NAME, value=objective, allowed=allowed)
        return None
    weights = objective["weights"]
    for task, weight in weights.items():
        if task not in tasks:
            where = f"{NAME}.weights"
            raise UserError("no such task", where=where, value=task, allowed=tasks)
        if not (np.isfinite(weight) and weight >= 0):
            raise UserError("a weight is 0 or more", where=f"{NAME}.weights.{task}", value=weight)
    if not sum(weights.values()) > 0:
        raise UserError("all weights are 0", where=f"{NAME}.weights")
    return weights
