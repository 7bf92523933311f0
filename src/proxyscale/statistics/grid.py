"""Tidy losses and runs as arrays: the grid of scales × distributions × tasks, without holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError

Array = np.ndarray[Any, Any]
SHOWN_HOLES = 20


@dataclass(frozen=True)
class Grid:
    """Losses of the runs of role `grid`, every scale having every distribution and task.

    A run is one (scale, distribution, draw, seed). Scales are ordered by compute, cheapest first;
    where compute is unknown, as they come in the runs table.
    """

    scales: list[str]
    distributions: list[str]
    tasks: list[str]
    flops: Array  # [scales], median over runs; NaN where unknown
    cell: Array  # [runs], scale · len(distributions) + distribution
    realized: Array  # [runs], number of the run's draw and seed, the same at every scale
    examples: dict[str, Array]  # task → ids [examples]
    losses: dict[str, Array]  # task → float64 [runs, examples]

    @property
    def shape(self) -> tuple[int, int]:
        """(scales, distributions)."""
        return len(self.scales), len(self.distributions)

    @property
    def variants(self) -> dict[str, str]:
        """Scales of the compute of one named before them, which differ in a learning rate or the
        like: variant → that scale."""
        first: dict[float, str] = {}
        named = zip(self.scales, self.flops, strict=True)
        return {s: first[f] for s, f in named if np.isfinite(f) and first.setdefault(f, s) != s}

    @property
    def counts(self) -> Array:
        """Runs (draws × seeds) of each cell: [scales, distributions]."""
        return np.bincount(self.cell, minlength=np.prod(self.shape)).reshape(self.shape)

    def means(self, task: str) -> Array:
        """Mean loss over examples, then over draws and seeds: [scales, distributions]."""
        totals = np.bincount(self.cell, self.losses[task].mean(axis=1), np.prod(self.shape))
        return totals.reshape(self.shape) / self.counts

    def example_means(self, task: str) -> Array:
        """Loss of each example, mean of draws and seeds: [scales, distributions, examples]."""
        losses = self.losses[task]
        totals = np.zeros((int(np.prod(self.shape)), losses.shape[1]))
        np.add.at(totals, self.cell, losses)
        return totals.reshape(*self.shape, -1) / self.counts[..., None]

    def compute_ratios(self, reference: str) -> Array:
        """Compute of the reference divided by each scale's own: [scales]."""
        ratios: Array = self.flops[self.index(reference)] / self.flops
        return ratios

    def index(self, scale: str) -> int:
        """Position of a scale. UserError if it is not in the grid."""
        if scale not in self.scales:
            raise UserError("no such scale", where="reference", value=scale, allowed=self.scales)
        return self.scales.index(scale)


def read_grid(losses: pa.Table, runs: pa.Table) -> Grid:
    """Arrange the losses of the runs of role `grid`.

    `losses` and `runs` are tables of these schemas. UserError for a hole (a scale, distribution and
    task without losses; a run without a task or some of its examples), for a loss that is given
    twice and for one that is not finite.
    """
    runs = runs.filter(pc.equal(runs["role"], "grid"))
    if not len(runs):
        raise UserError("no run has the role `grid`", where="runs")
    names = {
        key: runs[key].unique().to_pylist() for key in ("scale", "distribution", "draw", "seed")
    }
    flops = _median_flops(runs, names["scale"])
    names["scale"] = [names["scale"][i] for i in np.argsort(flops, kind="stable")]
    flops = np.sort(flops)
    keys = _codes(runs, names)
    rows = _codes(losses, names)
    shape = tuple(len(values) for values in names.values())
    lookup = np.full(shape, -1)
    lookup[tuple(keys)] = np.arange(len(runs))
    run = np.where((rows >= 0).all(axis=0), lookup[tuple(rows)], -1)
    grid = Grid(
        scales=names["scale"],
        distributions=names["distribution"],
        tasks=losses["task"].filter(pa.array(run >= 0)).unique().to_pylist(),
        flops=flops,
        cell=keys[0] * shape[1] + keys[1],
        realized=keys[2] * shape[3] + keys[3],
        examples={},
        losses={},
    )
    _refuse_holes(grid, runs, run, losses)
    _fill(grid, runs, run, losses)
    return grid


def _median_flops(runs: pa.Table, scales: Sequence[str]) -> Array:
    """Median compute of each scale's runs; NaN where none is given."""
    scale = _index(runs["scale"], scales)
    flops = runs["flops"].to_numpy(zero_copy_only=False).astype(float)
    flops[~(flops > 0)] = np.nan
    known = [flops[(scale == i) & np.isfinite(flops)] for i in range(len(scales))]
    return np.array([np.median(values) if len(values) else np.nan for values in known])


def _index(column: pa.ChunkedArray, values: Sequence[Any]) -> Array:
    """Positions of a column's entries in `values`, -1 where absent."""
    found = pc.index_in(column, value_set=pa.array(values, column.type))
    positions: Array = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
    return positions


def _codes(table: pa.Table, names: dict[str, list[Any]]) -> Array:
    """Positions of every key column of the table: [keys, rows]."""
    return np.stack([_index(table[key], values) for key, values in names.items()])


def _refuse_holes(grid: Grid, runs: pa.Table, run: Array, losses: pa.Table) -> None:
    """UserError naming the cells without a run and the runs without a task."""
    holes = [
        f"{grid.scales[s]} / {grid.distributions[d]} / every task"
        for s, d in np.argwhere(grid.counts == 0)
    ]
    task = _index(losses["task"], grid.tasks)
    kept = run >= 0
    cells = np.bincount(
        run[kept] * len(grid.tasks) + task[kept], minlength=len(runs) * len(grid.tasks)
    ).reshape(len(runs), -1)
    holes += [f"{_told(runs, r)} / {grid.tasks[t]}" for r, t in np.argwhere(cells == 0)]
    if not grid.tasks:
        holes = ["every task of every run"]
    if holes:
        more = f" and {len(holes) - SHOWN_HOLES} more" if len(holes) > SHOWN_HOLES else ""
        raise UserError(
            f"the grid has {len(holes)} hole{'s' * (len(holes) > 1)}: "
            f"{'; '.join(holes[:SHOWN_HOLES])}{more}",
            where="losses",
            hint="every scale needs every distribution and task: train what is missing, or give "
            "those runs another role",
        )


def _told(runs: pa.Table, row: int) -> str:
    """A run as people name it."""
    key = {name: runs[name][int(row)].as_py() for name in ("scale", "distribution", "draw", "seed")}
    return "{scale} / {distribution} (draw {draw}, seed {seed})".format(**key)


def _fill(grid: Grid, runs: pa.Table, run: Array, losses: pa.Table) -> None:
    """Fill in the losses of every task; UserError for a missing, doubled or non-finite one."""
    task = np.where(run >= 0, _index(losses["task"], grid.tasks), -1)
    example = pc.fill_null(losses["example"], 0).to_numpy(zero_copy_only=False)
    loss = losses["loss"].to_numpy(zero_copy_only=False).astype(np.float64)
    for number, name in enumerate(grid.tasks):
        rows = np.flatnonzero(task == number)
        ids, column = np.unique(example[rows], return_inverse=True)
        place = run[rows] * len(ids) + column
        table = np.full((len(runs), len(ids)), np.nan)
        table.ravel()[place] = loss[rows]
        seen = np.bincount(place, minlength=table.size).reshape(table.shape)
        for wrong, message in (
            (seen > 1, "example {id} is given twice"),
            (seen == 0, "example {id} is missing, which other runs have"),
            (~np.isfinite(table), "the loss of example {id} is not a finite number"),
        ):
            if wrong.any():
                r, e = np.argwhere(wrong)[0]
                where = f"losses: {_told(runs, r)} / {name}"
                raise UserError(f"{message.format(id=ids[e])} ({wrong.sum()} in all)", where=where)
        grid.examples[name] = ids
        grid.losses[name] = table
