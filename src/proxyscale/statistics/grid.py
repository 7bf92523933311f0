"""Tidy losses and runs as arrays: the grid of scales × distributions × tasks.

Where the runs were trained here (role `grid`) a hole is a mistake. Runs from outside (role
`outside`) may lack recipes, scales and tasks: `parts` are the grids without holes that are in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from proxyscale.base.errors import UserError

Array = np.ndarray[Any, Any]
LEAST = 3  # recipes that two scales must share to be compared


Cut = tuple[tuple[int, ...], bytes, bytes]  # scales, whether each distribution, each run is in it


@dataclass(frozen=True)
class Grid:
    """Losses of the runs that are compared.

    A run is one (scale, distribution, draw, seed). Scales are ordered by compute, cheapest first;
    where that of some is unknown, as they come in the runs table.
    """

    scales: list[str]
    distributions: list[str]
    tasks: list[str]
    flops: Array  # [scales], median over runs; NaN where unknown
    parameters: Array  # [scales], the same
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
                parameters=self.parameters[list(scales)],
                cell=cell + np.searchsorted(chosen, distribution[rows]),
                realized=self.realized[rows],
                losses={task: self.losses[task][rows] for task in tasks},
            )

    def compute_ratios(self, reference: str) -> Array:
        """Compute of the reference divided by each scale's own: [scales]."""
        ratios: Array = self.flops[self.index(reference)] / self.flops
        return ratios

    def size_ratios(self, reference: str) -> Array:
        """Parameters of the reference divided by each scale's own: [scales]."""
        ratios: Array = self.parameters[self.index(reference)] / self.parameters
        return ratios

    def index(self, scale: str) -> int:
        """Position of a scale. UserError if it is not in the grid."""
        if scale not in self.scales:
            raise UserError("no such scale", where="reference", value=scale, allowed=self.scales)
        return self.scales.index(scale)
