"""The grid out of tidy tables: losses and runs of these schemas, holes and doubles refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError
from proxyscale.statistics.gathering import RUN, Gathered, gathered
from proxyscale.statistics.grid import Array, Grid

SHOWN_HOLES = 20
ROLES = ("grid", "outside")


def read_grid(losses: pa.Table, runs: pa.Table) -> Grid:
    """Arrange the losses of the runs of role `grid`, or of role `outside` (`grid_of`)."""
    return grid_of(gathered(losses), runs)


def grid_of(losses: Gathered, runs: pa.Table) -> Grid:
    """Arrange gathered losses of the runs of role `grid`, or of role `outside`.

    UserError for a loss that is given twice and
    for one that is not finite; for a run that lacks some of a task's examples; and, of role `grid`,
    for a hole (a scale, distribution and task without losses).
    """
    runs = runs.filter(pc.is_in(runs["role"], value_set=pa.array(ROLES)))
    if not len(runs):
        raise UserError("no run has the role `grid`", where="runs")
    names = {key: runs[key].unique().to_pylist() for key in RUN}
    flops, parameters = (_median(runs, what, names["scale"]) for what in ("flops", "parameters"))
    if np.isfinite(flops).all():
        order = np.argsort(flops, kind="stable")
        flops, parameters = flops[order], parameters[order]
        names["scale"] = [names["scale"][i] for i in order]
    keys = _codes(runs, names)
    run = _places(keys, _codes(losses.keys, names), [len(values) for values in names.values()])
    tasks = losses.keys["task"].filter(pa.array(run >= 0)).unique().to_pylist()
    grid = Grid(
        scales=names["scale"],
        distributions=names["distribution"],
        tasks=tasks,
        flops=flops,
        parameters=parameters,
        cell=keys[0] * len(names["distribution"]) + keys[1],
        realized=keys[2] * len(names["seed"]) + keys[3],
        examples={},
        losses={},
        better=_better(losses.keys, tasks),
    )
    strict = "grid" in runs["role"].unique().to_pylist()
    if strict or not tasks:
        _refuse_holes(grid, runs, run, losses.keys)
    _fill(grid, runs, run, losses)
    return grid


def _places(keys: Array, rows: Array, sizes: Sequence[int]) -> Array:
    """The run of each row, -1 for none: `keys` [4, runs] and `rows` [4, rows] are positions."""
    strides = np.concatenate([np.cumprod(sizes[:0:-1])[::-1], [1]]).astype(np.int64)
    own, wanted = strides @ keys, strides @ rows
    order = np.argsort(own)
    found = np.minimum(np.searchsorted(own[order], wanted), len(own) - 1)
    there = (rows >= 0).all(axis=0) & (own[order][found] == wanted)
    return np.where(there, order[found], -1)


def _better(keys: pa.Table, tasks: Sequence[str]) -> dict[str, str]:
    """Which values of each task are better: as its losses say, else lower."""
    told = keys.select(["task", "better"]).group_by(["task", "better"]).aggregate([]).to_pylist()
    said = {row["task"]: row["better"] for row in told if row["better"] is not None}
    return {task: said.get(task, "lower") for task in tasks}


def _median(runs: pa.Table, what: str, scales: Sequence[str]) -> Array:
    """Median compute or parameters of each scale's runs; NaN where none are given."""
    scale = _index(runs["scale"], scales)
    found = runs[what].to_numpy(zero_copy_only=False).astype(float)
    found[~(found > 0)] = np.nan
    known = [found[(scale == i) & np.isfinite(found)] for i in range(len(scales))]
    return np.array([np.median(values) if len(values) else np.nan for values in known])


def _index(column: pa.ChunkedArray, values: Sequence[Any] | Array) -> Array:
    """Positions of a column's entries in `values`, -1 where absent."""
    found = pc.index_in(column, value_set=pa.array(values, column.type))
    positions: Array = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
    return positions


def _codes(table: pa.Table, names: dict[str, list[Any]]) -> Array:
    """Positions of every key column of the table: [keys, rows]."""
    return np.stack([_index(table[key], values) for key, values in names.items()])


def _refuse_holes(grid: Grid, runs: pa.Table, run: Array, keys: pa.Table) -> None:
    """UserError naming the cells without a run and the runs without a task."""
    holes = [
        f"{grid.scales[s]} / {grid.distributions[d]} / every task"
        for s, d in np.argwhere(grid.counts == 0)
    ]
    task = _index(keys["task"], grid.tasks)
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
    key = {name: runs[name][int(row)].as_py() for name in RUN}
    return "{scale} / {distribution} (draw {draw}, seed {seed})".format(**key)


def _fill(grid: Grid, runs: pa.Table, run: Array, losses: Gathered) -> None:
    """Fill in the losses of every task; UserError for a missing, doubled or non-finite one."""
    task = np.where(run >= 0, _index(losses.keys["task"], grid.tasks), -1)
    for number, name in enumerate(grid.tasks):
        mine = task == number
        rows = np.flatnonzero(np.repeat(mine, losses.counts))
        example = pa.array(losses.examples[rows])
        ids = np.sort(example.unique().to_numpy())
        place = np.repeat(run[mine], losses.counts[mine]) * len(ids) + _index(example, ids)
        table = np.full((len(runs), len(ids)), np.nan)
        table.ravel()[place] = losses.losses[rows]
        seen = np.bincount(place, minlength=table.size).reshape(table.shape)
        lacks = seen == 0
        lacks[lacks.all(axis=1)] = False  # these runs do not have the task at all
        for wrong, message in (
            (seen > 1, "example {id} is given twice"),
            (lacks, "example {id} is missing, which other runs have"),
            ((seen > 0) & ~np.isfinite(table), "the loss of example {id} is not a finite number"),
        ):
            if wrong.any():
                r, e = np.argwhere(wrong)[0]
                where = f"losses: {_told(runs, r)} / {name}"
                raise UserError(f"{message.format(id=ids[e])} ({wrong.sum()} in all)", where=where)
        grid.examples[name] = ids
        grid.losses[name] = table
