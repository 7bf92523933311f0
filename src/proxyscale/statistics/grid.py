"""Tidy losses and runs as arrays: the grid of scales × distributions × tasks.

Where the runs were trained here (role `grid`) a hole is a mistake. Runs from outside (role
`outside`) may lack recipes, scales and tasks: `parts` are the grids without holes that are in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError

Array = np.ndarray[Any, Any]
SHOWN_HOLES = 20
LEAST = 3  # recipes that two scales must share to be compared
ROLES = ("grid", "outside")


Cut = tuple[tuple[int, ...], bytes, bytes]  # scales, whether each distribution, each run is in it


@dataclass(frozen=True)
class Grid:
    """Losses of the runs that are compared.

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
    losses: dict[str, Array]  # task → float64 [runs, examples]; a row of NaN where a run lacks it
    better: dict[str, str]  # task → lower, higher (its values stand negated) or unknown

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

    def measured(self, task: str) -> Array:
        """Whether each run has the task: [runs]."""
        found: Array = ~np.isnan(self.losses[task][:, 0])
        return found

    def has(self, task: str) -> Array:
        """Whether any run of a cell has the task: [scales, distributions]."""
        there: Array = self._sum(self.measured(task).astype(float)) > 0
        return there

    def means(self, task: str) -> Array:
        """Mean loss over examples, then over draws and seeds: [scales, distributions].

        NaN where no run of the cell has the task.
        """
        losses, there = self.losses[task].mean(axis=1), self.measured(task)
        with np.errstate(invalid="ignore"):
            means: Array = self._sum(np.where(there, losses, 0)) / self._sum(there.astype(float))
        return means

    def _sum(self, values: Array) -> Array:
        """Sum of a value of each run over the runs of a cell: [scales, distributions]."""
        size = int(np.prod(self.shape))
        return np.bincount(self.cell, values, size).reshape(self.shape)

    def example_means(self, task: str) -> Array:
        """Loss of each example, mean of draws and seeds: [scales, distributions, examples]."""
        losses, there = self.losses[task], self.measured(task)
        totals = np.zeros((int(np.prod(self.shape)), losses.shape[1]))
        np.add.at(totals, self.cell[there], losses[there])
        with np.errstate(invalid="ignore"):
            means: Array = (
                totals.reshape(*self.shape, -1) / self._sum(there.astype(float))[..., None]
            )
        return means

    def parts(self, reference: str) -> list[Grid]:
        """Grids without holes, in which every proxy meets the reference once on every task.

        On each task a proxy meets it over the distributions that both have, if there are `LEAST`.
        A grid without holes is its own only part.
        """
        last = self.index(reference)
        found: dict[Cut, list[str]] = {}
        for task in self.tasks:
            has = self.has(task)
            if has.all():
                key = (tuple(range(len(self.scales))), has[last].tobytes(), self._mask(task))
                found.setdefault(key, []).append(task)
                continue
            meetings: dict[bytes, list[int]] = {}
            for scale in range(len(self.scales)):
                both = has[scale] & has[last]
                if scale != last and both.sum() >= LEAST:
                    meetings.setdefault(both.tobytes(), []).append(scale)
            for both, scales in meetings.items():
                key = (tuple(sorted([*scales, last])), both, self._mask(task))
                found.setdefault(key, []).append(task)
        return list(self._cut(found))

    def joint_parts(self, reference: str) -> list[Grid]:
        """Grids without holes, each with all scales that every task has (`joint_scales`)."""
        names = self.joint_scales(reference)
        scales = [self.index(name) for name in names]
        found: dict[Cut, list[str]] = {}
        for task in self.tasks:
            has = self.has(task)[scales]
            if has.all(axis=0).sum() >= LEAST or has.all():
                key = (tuple(scales), has.all(axis=0).tobytes(), self._mask(task))
                found.setdefault(key, []).append(task)
        return list(self._cut(found))

    def joint_scales(self, reference: str) -> list[str]:
        """The reference and the scales that meet it on every task that it has."""
        last = self.index(reference)
        each = [self.has(task) for task in self.tasks]
        kept = np.ones(len(self.scales), dtype=bool)
        for has in each:
            if not has.all() and has[last].sum() >= LEAST:
                kept &= (has & has[last]).sum(axis=1) >= LEAST
        kept[last] = True
        return [name for name, keep in zip(self.scales, kept, strict=True) if keep]

    def _mask(self, task: str) -> bytes:
        return self.measured(task).tobytes()

    def _cut(self, found: dict[Cut, list[str]]) -> Iterator[Grid]:
        """The grid of each (scales, distributions, runs) and its tasks."""
        for (scales, distributions, mask), tasks in found.items():
            chosen = np.flatnonzero(np.frombuffer(distributions, dtype=bool))
            here = np.frombuffer(mask, dtype=bool)
            if here.all() and len(scales) == len(self.scales) and len(chosen) == self.shape[1]:
                yield self if tasks == self.tasks else replace(self, tasks=tasks)
                continue
            scale, distribution = np.divmod(self.cell, self.shape[1])
            rows = here & np.isin(scale, scales) & np.isin(distribution, chosen)
            cell = np.searchsorted(scales, scale[rows]) * len(chosen)
            yield replace(
                self,
                scales=[self.scales[i] for i in scales],
                distributions=[self.distributions[i] for i in chosen],
                tasks=tasks,
                flops=self.flops[list(scales)],
                cell=cell + np.searchsorted(chosen, distribution[rows]),
                realized=self.realized[rows],
                losses={task: self.losses[task][rows] for task in tasks},
            )

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
    """Arrange the losses of the runs of role `grid`, or of role `outside`.

    `losses` and `runs` are tables of these schemas. UserError for a loss that is given twice and
    for one that is not finite; for a run that lacks some of a task's examples; and, of role `grid`,
    for a hole (a scale, distribution and task without losses).
    """
    runs = runs.filter(pc.is_in(runs["role"], value_set=pa.array(ROLES)))
    if not len(runs):
        raise UserError("no run has the role `grid`", where="runs")
    names = {
        key: runs[key].unique().to_pylist() for key in ("scale", "distribution", "draw", "seed")
    }
    flops = _median_flops(runs, names["scale"])
    names["scale"] = [names["scale"][i] for i in np.argsort(flops, kind="stable")]
    keys = _codes(runs, names)
    run = _places(keys, _codes(losses, names), [len(values) for values in names.values()])
    tasks = losses["task"].filter(pa.array(run >= 0)).unique().to_pylist()
    grid = Grid(
        scales=names["scale"],
        distributions=names["distribution"],
        tasks=tasks,
        flops=np.sort(flops),
        cell=keys[0] * len(names["distribution"]) + keys[1],
        realized=keys[2] * len(names["seed"]) + keys[3],
        examples={},
        losses={},
        better=_better(losses, tasks),
    )
    strict = "grid" in runs["role"].unique().to_pylist()
    if strict or not tasks:
        _refuse_holes(grid, runs, run, losses)
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


def _better(losses: pa.Table, tasks: Sequence[str]) -> dict[str, str]:
    """Which values of each task are better: as its losses say, else lower."""
    told = losses.select(["task", "better"]).group_by(["task", "better"]).aggregate([]).to_pylist()
    said = {row["task"]: row["better"] for row in told if row["better"] is not None}
    return {task: said.get(task, "lower") for task in tasks}


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
