"""Mean losses of all recipes at all scales, holes and all: what decisions are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError
from proxyscale.statistics.gathering import RUN
from proxyscale.statistics.grid import Array
from proxyscale.statistics.ladder import Ladder
from proxyscale.statistics.objective import Objective, objective_of


@dataclass(frozen=True)
class RecipeLosses:
    """Losses by scale (cheapest first), recipe and task; NaN where nothing was trained."""

    scales: list[str]
    recipes: list[str]
    tasks: list[str]
    compute: Array  # [scales] FLOPs of one run, NaN where unknown
    runs: Array  # [runs, tasks] mean losses over examples
    scale: Array  # [runs] position
    recipe: Array  # [runs]
    incomplete: str = ""  # how many runs were left out since they lack a loss, and the first

    @property
    def counts(self) -> Array:
        """Runs: [scales, recipes]."""
        shape = len(self.scales), len(self.recipes)
        cell = self.scale * shape[1] + self.recipe
        return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)

    @property
    def means(self) -> Array:
        """[scales, recipes, tasks]."""
        shape = (len(self.scales), len(self.recipes))
        cell = self.scale * shape[1] + self.recipe
        counts = self.counts.ravel()
        with np.errstate(invalid="ignore"):
            found = [np.bincount(cell, column, counts.size) / counts for column in self.runs.T]
        return np.asarray(found).T.reshape(*shape, -1)

    def runs_of(self, scale: int, recipe: int) -> Array:
        """Losses of a recipe's runs at a scale: [runs, tasks]."""
        return np.asarray(self.runs[(self.scale == scale) & (self.recipe == recipe)])

    def ladder(self, objective: Objective, target: int) -> Ladder:
        """The recipes' objective at every scale, in that scale's own units, and its seed noise."""
        means, counts = self.means, self.counts
        values, noise = np.full(counts.shape, np.nan), np.full(len(self.scales), np.nan)
        for scale in range(len(self.scales)):
            there = counts[scale] > 0
            if not there.any():
                continue
            combined = objective_of(objective, self.tasks, means[scale])
            values[scale, there] = combined(means[scale, there])
            mine = self.scale == scale
            off = combined(self.runs[mine])
            recipe = self.recipe[mine]
            centres = np.bincount(recipe, off, counts.shape[1]) / np.maximum(counts[scale], 1)
            free = int(mine.sum() - there.sum())
            if free:
                noise[scale] = ((off - centres[recipe]) ** 2).sum() / free
        return Ladder(self.scales, self.recipes, self.compute, values, counts, noise, target)


def recipe_losses(
    losses: pa.Table, runs: pa.Table, *, leave_out: Collection[str] = (), roles: str | None = None
) -> RecipeLosses:
    """Means of tables of these schemas, of all recipes but some, of one role or of all.

    A run that lacks one of the tasks, or has a loss that is no finite number, is left out and told.
    UserError if none is left.
    """
    rows = runs.to_pandas()[[*RUN, "role", "flops"]]
    rows = rows[~rows["distribution"].isin(list(leave_out))]
    rows = rows[rows["role"] == roles] if roles else rows
    wide = _wide(losses).reindex(pd.MultiIndex.from_frame(rows[RUN]))
    bad = ~np.isfinite(wide.to_numpy(float)).all(axis=1)
    if bad.all():
        raise UserError("no run has a loss on every task", where="losses")
    incomplete = _told(wide.index[bad].tolist())
    rows, wide = rows[~bad], wide[~bad]
    cost = rows.groupby("scale", sort=False)["flops"].median()
    scales = cost.sort_values(kind="stable").index.tolist()
    recipes = sorted(rows["distribution"].unique())  # draws must not hang on what else was trained
    return RecipeLosses(
        scales,
        recipes,
        list(wide.columns),
        cost[scales].to_numpy(float),
        wide.to_numpy(float),
        pd.Index(scales).get_indexer(rows["scale"]),
        pd.Index(recipes).get_indexer(rows["distribution"]),
        incomplete,
    )


def _told(runs: Sequence[tuple[Any, ...]]) -> str:
    if not runs:
        return ""
    first = ", ".join(f"{key} {value}" for key, value in zip(RUN, runs[0], strict=True))
    return f"{len(runs)} runs lack a task's loss and are left out, the first {first}"


def _wide(losses: pa.Table) -> pd.DataFrame:
    """Mean loss over examples: a row a run, a column a task, in the order of the table.

    A metric of which nobody says whether higher is better is left out.
    """
    known = pc.fill_null(pc.not_equal(losses["better"], "unknown"), True)
    losses = losses.filter(known)
    found = losses.group_by([*RUN, "task"], use_threads=False).aggregate([("loss", "mean")])
    tasks = pc.unique(losses["task"]).to_pylist()
    frame = found.to_pandas().pivot(index=RUN, columns="task", values="loss_mean")
    return frame[tasks]


def shares_of(names: Collection[str], shares: Mapping[str, list[float]]) -> Array:
    """Shares of recipes that sum to 1: [recipes, sources]. UserError for one that has none."""
    for name in names:
        if name not in shares:
            raise UserError("no weights for a recipe", where="weights", value=name)
    found = np.array([shares[name] for name in names], dtype=float)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
