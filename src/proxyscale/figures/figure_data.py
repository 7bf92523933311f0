"""What the figures read out of the tables: names in their order, run means, estimates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.paths import Paths
from proxyscale.base.progress import cheaper, quantity
from proxyscale.base.tables import where, with_constants
from proxyscale.figures.style import Mark, Style, beside, in_groups, marks
from proxyscale.statistics.gathering import RUN
from proxyscale.statistics.grid import Array, Grid
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.guesses import best_guess
from proxyscale.statistics.measures import pearson

Rows = list[dict[str, Any]]  # of a CSV
MOST_TASKS = 9  # in one figure: three rows of three
PAPER_RATIO = 175.0  # the paper's Figures 1, 4 and 5: the reference's compute over the proxy's


class Estimate(NamedTuple):
    """One number of the statistics; NaN where it is not known."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    ceiling: float = math.nan
    n: int = 0


def _estimate(row: Mapping[str, Any]) -> Estimate:
    value, low, high, ceiling = (
        math.nan if row[name] is None else float(row[name]) for name in Estimate._fields[:4]
    )
    return Estimate(value, low, high, ceiling, row["n"] or 0)


def evenly(values: Mapping[str, float], most: int = MOST_TASKS) -> set[str]:
    """So many of the names, evenly over the ranks of their values; NaN ranks lowest."""
    ranked = sorted(values, key=lambda n: -math.inf if math.isnan(values[n]) else values[n])
    return {ranked[i] for i in np.linspace(0, len(ranked) - 1, most).round().astype(int)}


@dataclass(frozen=True)
class FigureData:
    """What a figure reads, and what to make of it.

    `given` holds tables by kind: `statistics`, `losses`, `runs`, `curves` (schema curve, with
    scale, distribution, draw and seed), `agreement`, `influence`, by task the table of what is
    `asked` of a model, the rows of `gains`, the record of a `proposal`. It may name the
    `reference` (default: the only one), the `proxy` of Figures 1, 4 and 5 (default: the one nearest
    to 1/175 of the compute), the `smallest` one of Figures 12 and 13 (default: the cheapest), and
    the distributions of each of the `groups`.
    """

    style: Style
    given: Mapping[str, Any]

    @property
    def statistics(self) -> pa.Table:
        """The statistics."""
        return self.table("statistics")

    @property
    def losses(self) -> pa.Table:
        """The losses of all runs."""
        return self.table("losses")

    @property
    def runs(self) -> pa.Table:
        """All runs."""
        return self.table("runs")

    @cached_property
    def grid(self) -> Grid:
        """The losses of the distributions that are compared. UserError for a hole."""
        return read_grid(self.losses, self.runs)

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks in the style's order, else in that of the losses. UserError if unknown."""
        for task in self.style.tasks:
            if task not in self.grid.tasks:
                where = "figures.style.tasks"
                raise UserError("no such task", where=where, value=task, allowed=self.grid.tasks)
        return list(self.style.tasks) or self.grid.tasks

    @cached_property
    def drawn(self) -> list[str]:
        """The tasks of a figure: all, or so many as can be read, evenly over the ranks of their R²
        at the proxy."""
        if self.style.tasks or len(self.tasks) <= MOST_TASKS:
            return self.tasks
        r2 = self.estimates("r2")
        chosen = evenly({t: r2.get((t, self.proxy), Estimate()).value for t in self.tasks})
        return [t for t in self.tasks if t in chosen]

    @property
    def some(self) -> str:
        """How many of the tasks are drawn, for a title; nothing if all are."""
        return f"; {len(self.drawn)} of {len(self.tasks)} tasks" if self.left_out else ""

    @cached_property
    def left_out(self) -> set[str]:
        """The tasks that figures do not draw."""
        return set(self.tasks) - set(self.drawn)

    @cached_property
    def marks(self) -> dict[str, Mark]:
        """The mark of each distribution, the same in every figure, in the order of the runs."""
        names = self.given.get("distributions") or self.grid.distributions
        return in_groups(marks(names, self.style), self.given.get("groups", {}), self.style)

    @cached_property
    def task_marks(self) -> dict[str, Mark]:
        """The mark of each task, the same in every figure; that of its namesake distribution."""
        return beside(self.tasks, self.marks, self.style)

    @cached_property
    def reference(self) -> str:
        """The scale that every proxy is held against. UserError if it must be named."""
        names = self.statistics["reference"].unique().to_pylist()
        name = self.given.get("reference") or (names[0] if len(names) == 1 else None)
        if name not in names:
            message = f"{name!r} is not the reference of these statistics"
            raise UserError(message, where="reference", value=name, allowed=names)
        return str(name)

    @cached_property
    def ratios(self) -> dict[str, float]:
        """The reference's compute over each proxy's; NaN where it is unknown."""
        return self.beside("distribution")

    def beside(self, level: str) -> dict[str, float]:
        """The same of what stands at a level: `rival`, `checkpoint`."""
        keys = ["proxy", "compute_ratio"]
        pairs = self._rows(level=level).group_by(keys, use_threads=False).aggregate([])
        ratios = ((row["proxy"], row["compute_ratio"]) for row in pairs.to_pylist())
        return {name: math.nan if ratio is None else ratio for name, ratio in ratios}

    @cached_property
    def proxies(self) -> list[str]:
        """The single-scale proxies, the cheapest first."""
        return [s for s in self.grid.scales if s in self.ratios and s != self.reference]

    @cached_property
    def extrapolations(self) -> list[str]:
        """Proxies that are no scale but a law through several, named `law:…`; cheapest first."""
        names = sorted(set(self.ratios) - set(self.grid.scales))
        return sorted(names, key=lambda name: -self.ratios[name])

    @cached_property
    def proxy(self) -> str:
        """The proxy that is named, or the one nearest to the paper's 1/175 of the compute."""
        if name := self.given.get("proxy"):
            return self._known(name)
        known = [name for name in self.proxies if math.isfinite(self.ratios[name])]
        if not known:
            return self.smallest
        return min(known, key=lambda name: abs(math.log(self.ratios[name] / PAPER_RATIO)))

    @cached_property
    def smallest(self) -> str:
        """The proxy that is named as the smallest, or the cheapest one."""
        return self._known(self.given.get("smallest") or self.proxies[0])

    def _known(self, proxy: str) -> str:
        if proxy not in self.proxies:
            message = f"no proxy is named {proxy!r}"
            raise UserError(message, where="figures.proxy", value=proxy, allowed=self.proxies)
        return proxy

    def common(self, proxy: str, task: str) -> list[str]:
        """The distributions over which a proxy meets the reference on a task."""
        has = self.grid.has(task)
        both = has[self.grid.index(proxy)] & has[self.grid.index(self.reference)]
        return [name for name, here in zip(self.grid.distributions, both, strict=True) if here]

    def falling(self, proxy: str, task: str) -> Array:
        """Examples whose losses at the proxy and the reference correlate negatively."""
        there = np.isin(self.grid.distributions, self.common(proxy, task))
        means = self.grid.example_means(task)[:, there]
        own, reference = (means[self.grid.index(scale)] for scale in (proxy, self.reference))
        return np.asarray(self.grid.examples[task][pearson(own, reference) < 0])

    def measured(self, of: str) -> str:
        """What an axis of these tasks shows."""
        return self.style.measured(all(self.grid.better[t] == "lower" for t in self.tasks), of)

    @cached_property
    def groups(self) -> list[str]:
        """The groups of distributions that have statistics, `all` first."""
        names = self.statistics["group"].unique().to_pylist()
        return sorted(names, key=lambda name: name != "all")

    def relative_compute(self, proxy: str) -> float:
        """The proxy's compute over the reference's. UserError if it is unknown."""
        ratio = self.ratios[proxy]
        if not math.isfinite(ratio):
            hint = "give every scale its parameters and tokens, or its FLOPs"
            raise UserError(f"the compute of {proxy!r} is not known", where="runs", hint=hint)
        return 1 / ratio

    def asked(self, task: str) -> dict[int, Rows]:
        """The choices of every example of a task's holdout, without their tokens.

        UserError if the task's table was not given.
        """
        if task not in self.given.get("asked", {}):
            raise UserError(f"the examples of {task!r} are needed", where="tasks", value=task)
        found: dict[int, Rows] = {}
        for row in self.given["asked"][task].drop_columns("tokens").to_pylist():
            found.setdefault(row["example"], []).append(row)
        return found

    def table(self, kind: str) -> Any:
        """A table of some kind. UserError if it was not given."""
        if self.given.get(kind) is None:
            raise UserError(f"the table of {kind} is needed", where=kind)
        return self.given[kind]

    def chance(self, task: str) -> float:
        """Accuracy without a model: as the style says, else of the best simple rule, else 0."""
        if task in self.style.chance or task not in self.given.get("asked", {}):
            return float(self.style.chance.get(task, 0.0))
        return best_guess(self.given["asked"][task])

    def heading(self, proxy: str) -> str:
        """Both models with their parameters, and the share of the compute, for a title."""
        sizes = [self._size(proxy, " parameters"), self._size(self.reference, "")]
        names = [self.style.label(name) for name in (proxy, self.reference)]
        share = f": {cheaper(ratio)}" if math.isfinite(ratio := self.ratios[proxy]) else ""
        pair = f"Proxy {names[0]}{sizes[0]} against reference {names[1]}{sizes[1]}"
        return pair + share + self.some

    def _size(self, scale: str, unit: str) -> str:
        rows = where(self.runs, scale=scale)["parameters"].drop_null()
        return f" ({quantity(rows[0].as_py())}{unit})" if len(rows) else ""

    def estimates(
        self, statistic: str, group: str = "all", level: str = "distribution"
    ) -> dict[tuple[str, str], Estimate]:
        """The estimates over distributions, by (task, proxy); of scales, or of another level."""
        rows = self._rows(statistic=statistic, level=level, group=group)
        return {(row["task"], row["proxy"]): _estimate(row) for row in rows.to_pylist()}

    def examples(self, proxy: str, task: str, group: str = "all") -> dict[int, Estimate]:
        """R² of single test examples over a group of distributions, by example."""
        rows = self._rows(statistic="r2", level="example", proxy=proxy, task=task, group=group)
        return {row["example"]: _estimate(row) for row in rows.to_pylist()}

    def _rows(self, level: str, **values: str) -> pa.Table:
        return where(self._levels.get(level, self.statistics.slice(0, 0)), **values)

    @cached_property
    def _levels(self) -> dict[str, pa.Table]:
        """Level → its statistics against the reference."""
        table = where(self.statistics, reference=self.reference)
        return {name: where(table, level=name) for name in table["level"].unique().to_pylist()}

    def runs_of(self, scale: str, distribution: str, task: str) -> Array:
        """Mean loss of every run (draw and seed) of a scale and distribution: [runs].

        A metric of which higher is better stands as it was measured.
        """
        means: Array = self._run_means[task][self._cells[scale, distribution]]
        return means[~np.isnan(means)]

    @cached_property
    def _run_means(self) -> dict[str, Array]:
        """Task → mean loss of every run, as it was measured: [runs]."""
        signs = {task: -1 if self.grid.better[task] == "higher" else 1 for task in self.grid.tasks}
        return {task: signs[task] * self.grid.losses[task].mean(axis=1) for task in signs}

    @cached_property
    def _cells(self) -> dict[tuple[str, str], Array]:
        """(scale, distribution) → its runs."""
        grid = self.grid
        order = np.argsort(grid.cell, kind="stable")
        parts = np.split(order, np.cumsum(grid.counts.ravel())[:-1])
        names = ((scale, name) for scale in grid.scales for name in grid.distributions)
        return dict(zip(names, parts, strict=True))


def read_curves(runs: pa.Table, results: str) -> pa.Table:
    """The curves of all runs (schema curve) with scale, distribution, draw and seed."""
    return pa.concat_tables(
        with_constants(artifacts.read(f"{Paths(results).run(**run)}/curve.parquet", "curve"), **run)
        for run in runs.select(RUN).to_pylist()
    )
