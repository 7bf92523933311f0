"""From tidy losses to statistics: how well does each proxy foretell the reference?

Every metric is a loss: lower is better. One row a number, with its interval (`intervals`), for each
(proxy, reference, task, group of distributions). Draws and seeds are averaged first.

- `r2`, `pearson`, `spearman`, `kendall` (τ-b): over distributions, draws and seeds averaged.
- `pearson_corrected`: Pearson ÷ its ceiling, as against a reference without seed noise.
- `decision_accuracy`: share of pairs of distributions ordered as by the reference.
- `decision_accuracy_decided`: the same over pairs decided by the reference's seeds; n counts pairs.
- `regret`, `regret_top_3`: nats lost by training the proxy's pick (the best of its three picks);
  the interval needs seeds.
- `r2_leave_one_out`: r2; low and high are the extremes with one distribution left out.
- `seeds`, `seed_sd`, `noise_ceiling` of the proxy and, with `reference_` before, of the reference.

`ceiling` is what a perfect predictor reaches given the reference's seed noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.statistics import intervals
from proxyscale.statistics.grid import LEAST, Array, Grid, read_grid
from proxyscale.statistics.measures import (
    Noise,
    ceiling,
    correlations,
    decision_accuracy,
    leave_one_out,
    pearson,
    regret,
)

DEFINITIONS = "2"  # to be raised when the meaning of a statistic changes
TOP = 3
CORRELATIONS: dict[str, Callable[..., Any]] = {
    "r2": intervals.r2_interval,
    "pearson": intervals.pearson_interval,
    "spearman": intervals.spearman_interval,
    "kendall": intervals.kendall_interval,
}


def summarize(
    losses: pa.Table,
    runs: pa.Table,
    *,
    reference: str,
    groups: Mapping[str, Sequence[str]],
    confidence: float = 0.95,
) -> pa.Table:
    """The statistics table of every proxy against `reference`, for `all` and each named group.

    `losses` and `runs` are tables of these schemas. Each proxy meets the reference over the
    distributions that both have (`Grid.parts`). UserError if a grid that was trained here has a
    hole, if the reference or a group's distribution is unknown, if no proxy meets the reference.
    """
    grid = read_grid(losses, runs)
    whole = _members(grid, groups)
    parts = grid.parts(reference)
    if not parts:
        message = f"no scale shares {LEAST} recipes with {reference} on any task"
        raise UserError(message, where="runs.table")
    rows: list[dict[str, Any]] = []
    for part in parts:
        there = [grid.distributions.index(name) for name in part.distributions]
        members = {group: np.flatnonzero(np.isin(there, chosen)) for group, chosen in whole.items()}
        rows += [
            row
            for task in part.tasks
            for group, chosen in members.items()
            for row in _group_rows(part, reference, task, group, chosen, confidence)
        ]
    tables = [as_table(rows)]
    tables += [_example_table(part, reference, t, confidence) for part in parts for t in part.tasks]
    return pa.concat_tables(tables)


def as_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a statistics table; NaN becomes null."""
    columns = {}
    for field in artifacts.SCHEMAS["statistics"]:
        values = [row.get(field.name) for row in rows]
        columns[field.name] = pa.array(values, field.type, from_pandas=True)
    columns["version"] = pa.array([DEFINITIONS] * len(rows))
    return artifacts.conform(pa.table(columns), "statistics")


def _members(grid: Grid, groups: Mapping[str, Sequence[str]]) -> dict[str, Array]:
    """Group → positions of its distributions; `all` comes first."""
    members = {"all": np.arange(len(grid.distributions))}
    for name, distributions in groups.items():
        for distribution in distributions:
            if distribution not in grid.distributions:
                raise UserError(
                    "no such distribution in the grid",
                    where=f"groups.{name}",
                    value=distribution,
                    allowed=grid.distributions,
                )
        members[name] = np.array([grid.distributions.index(d) for d in distributions], dtype=int)
    return members


def _group_rows(
    grid: Grid, reference: str, task: str, group: str, chosen: Array, confidence: float
) -> Iterator[dict[str, Any]]:
    """Rows of every proxy, for one task and group."""
    means = grid.means(task)[:, chosen]
    variances, degrees = grid.noise(task)
    ratios = grid.compute_ratios(reference)
    last = grid.index(reference)
    noises = [
        Noise(float(v), int(d), c[chosen])
        for v, d, c in zip(variances, degrees, grid.counts, strict=True)
    ]
    for scale, name in enumerate(grid.scales):
        if scale == last:
            continue
        place = {
            "level": "distribution",
            "group": group,
            "task": task,
            "proxy": name,
            "reference": reference,
            "compute_ratio": ratios[scale],
        }
        rows = [
            *pair_rows(means[scale], means[last], noises[last], confidence),
            *noise_rows("", means[scale], noises[scale], confidence),
            *noise_rows("reference_", means[last], noises[last], confidence),
        ]
        yield from ({**place, **row} for row in rows)


def noise_rows(
    whose: str, means: Array, noise: Noise, confidence: float
) -> Iterator[dict[str, Any]]:
    """Seed noise of one scale: its runs per distribution, their sd, the ceiling they leave."""
    n = len(means)
    yield {"statistic": f"{whose}seeds", "value": noise.seeds, "n": n}
    if noise.degrees > 0:
        low, high = intervals.sd_interval(np.sqrt(noise.variance), noise.degrees, confidence)
        yield _row(f"{whose}seed_sd", np.sqrt(noise.variance), low, high, n)
    if noise.degrees > 0 and n > 2:
        value = ceiling(means, noise)
        low, high = intervals.ceiling_interval(value, n, noise.degrees, confidence)
        yield _row(f"{whose}noise_ceiling", value, low, high, n)


def pair_rows(
    proxy: Array, reference: Array, noise: Noise, confidence: float
) -> Iterator[dict[str, Any]]:
    """Every statistic of one proxy's means against the reference's, both [distributions]."""
    n = len(reference)
    limit = np.sqrt(ceiling(reference, noise))
    values = correlations(proxy, reference)
    ratio = float(intervals.variance_ratio(proxy, reference))
    for name, interval in CORRELATIONS.items():
        # R² is derived from the signed r, whose interval may hold both signs
        low, high = interval(values["pearson" if name == "r2" else name], n, confidence, ratio)
        yield _row(name, values[name], low, high, n, intervals.from_pearson(name, limit))
    yield _corrected(values["pearson"], limit, n, confidence, ratio)
    left_out = leave_one_out(proxy, reference)
    yield _row("r2_leave_one_out", values["r2"], left_out.min(), left_out.max(), n)
    top = intervals.from_pearson("decision_accuracy", limit)
    accuracy, pairs = decision_accuracy(proxy, reference)
    low, high = intervals.decision_interval(np.asarray(accuracy), n, confidence)
    yield _row("decision_accuracy", accuracy, low, high, n, top)
    if noise.degrees > 0:
        accuracy, pairs = decision_accuracy(proxy, reference, noise)
        low, high = intervals.decision_interval(np.asarray(accuracy), n, confidence, pairs)
        yield _row("decision_accuracy_decided", accuracy, low, high, pairs)
    yield _row("regret", *regret(proxy, reference, noise, 1, confidence), n)
    if n > TOP:
        yield _row(f"regret_top_{TOP}", *regret(proxy, reference, noise, TOP, confidence), n)


def _row(
    statistic: str, value: Any, low: Any, high: Any, n: int, limit: Any = np.nan
) -> dict[str, Any]:
    """A row's numbers, as plain floats."""
    numbers = {"value": value, "low": low, "high": high, "ceiling": limit}
    return {
        "statistic": statistic,
        "n": n,
        **{key: float(number) for key, number in numbers.items()},
    }


def _corrected(r: float, limit: float, n: int, confidence: float, ratio: float) -> dict[str, Any]:
    """Pearson's r divided by its ceiling (Spearman 1904), at most 1, and so its interval."""
    low, high = intervals.pearson_interval(np.asarray(r), n, confidence, ratio)
    if not limit > 0:
        return _row("pearson_corrected", np.nan, np.nan, np.nan, n)
    value, low, high = np.clip(np.array([r, low, high]) / limit, -1, 1)
    return _row("pearson_corrected", value, low, high, n)


def _example_table(grid: Grid, reference: str, task: str, confidence: float) -> pa.Table:
    """R² of every example's losses over all distributions; empty for a task given as one number."""
    ids, n = grid.examples[task], len(grid.distributions)
    last = grid.index(reference)
    proxies = [i for i in range(len(grid.scales)) if i != last]
    if len(ids) < 2 or n < 3:
        return as_table([])
    losses = grid.example_means(task)
    r = np.stack([pearson(losses[i], losses[last]) for i in proxies])
    ratio = np.stack([intervals.variance_ratio(losses[i], losses[last]) for i in proxies])
    low, high = intervals.r2_interval(r, n, confidence, ratio)
    rows, each = r.size, len(ids)
    constant = {
        "statistic": "r2",
        "level": "example",
        "group": "all",
        "task": task,
        "reference": reference,
        "version": DEFINITIONS,
        "n": n,
    }
    columns = {name: pa.repeat(value, rows) for name, value in constant.items()}
    columns["example"] = pa.array(np.tile(ids, len(proxies)))
    columns["proxy"] = pa.array(np.repeat([grid.scales[i] for i in proxies], each))
    ratios = np.repeat(grid.compute_ratios(reference)[proxies], each)
    for name, values in (("value", r**2), ("low", low), ("high", high), ("compute_ratio", ratios)):
        columns[name] = pa.array(values.ravel(), from_pandas=True)
    return artifacts.conform(pa.table(columns), "statistics")
