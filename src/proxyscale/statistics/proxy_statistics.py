"""From tidy losses to statistics: how well does each proxy foretell the reference?

Every metric is a loss: lower is better. One row a number, with its interval, for each (proxy,
reference, task, group of distributions); draws and seeds are averaged first. The task `objective`
is what the objective makes of all tasks.

- `r2`, `pearson`, `spearman`, `kendall` (τ-b): over distributions; the `unit` of an R² says where
  r < 0. `r2_log`: of the logarithms of losses. `pearson_corrected`: Pearson ÷ its ceiling, as
  against a reference without seed noise.
- `r2_leave_one_out`, `r2_log_leave_one_out`, `pearson_leave_one_out`: low and high are the extremes
  with one distribution left out, `named` the one that moves the correlation most.
- `decision_accuracy`: share of pairs of distributions ordered as by the reference, a pair that the
  proxy ties counting one half; `decision_accuracy_decided`: of pairs that the reference's seeds
  decide, n counts pairs. `proxy_ties`, `reference_ties`: the shares of pairs tied.
- `regret`, `regret_top_3`: what the proxy's pick (the best of its three picks) loses *here*, its
  interval over seeds; `regret_next`: what its pick of n new recipes is expected to lose
  (`regrets`). `regret_compute`, `regret_next_compute`: the same as factors of compute, here from
  the pick's slope and next time from the mean slope. `regret_next_excluded` and
  `regret_next_compute_excluded`: the smallest that is excluded with the confidence. `unit` says in
  what.
- `pick`, `reference_pick`: the reference's loss of the recipe that each would choose, `named`.
- `reference_sd`: of the reference over recipes.
- `seeds`, `seed_sd`, `noise_ceiling`, `seed_equality` (p of equal variances; high is the largest
  ratio of two), `signal_to_noise` (sd over recipes ÷ seed sd) of the proxy and, with `reference_`
  before, of the reference. `seed_correlation`: of the two scales' deviations by seed; where it is
  not 0, the ceiling may be passed.

All of these at level `distribution`, and at the levels `rival` and `checkpoint` of what stands
beside the scales (`besides`). `checkpoint_sd` and `checkpoint_signal_to_noise` stand beside the
seed noise (`along_runs`); level `metric` and `best_metric` are of other measures than the loss
(`metrics`).

`ceiling` is what a perfect predictor reaches given the reference's seed noise (`seed_noise`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.statistics import intervals
from proxyscale.statistics.grid import LEAST, Array, Grid
from proxyscale.statistics.measures import pearson
from proxyscale.statistics.objective import NAME, STANDARDIZED, Objective, in_sds, with_objective
from proxyscale.statistics.pair_statistics import NEGATIVE, Extent, Pair, noise_rows, pair_rows
from proxyscale.statistics.seed_noise import Noise, chosen_noise, pools_of, seed_noise

DEFINITIONS = "4"  # to be raised when the meaning of a statistic changes
OWN_UNIT = "in its own unit"  # of a metric that is no loss
# Levels: what is told over distributions, of scales, of what trains nothing, of checkpoints.
DISTRIBUTION, RIVAL, CHECKPOINT = "distribution", "rival", "checkpoint"


def summarize(
    grid: Grid,
    *,
    reference: str,
    groups: Mapping[str, Sequence[str]],
    confidence: float = 0.95,
    objective: Objective = STANDARDIZED,
    levels: Mapping[str, str] | None = None,
    extent: Extent = Extent.WHOLE,
) -> pa.Table:
    """The statistics table of every proxy against `reference`, for `all` and each named group.

    `levels`: scales that are none of the comparison, and the level at which their rows stand: a
    rival or a checkpoint. Nothing is told of their single examples, and no slope is theirs.
    `extent`: as `pair_rows` has it; checkpoints are told in brief.
    Each proxy meets the reference over the distributions that both have (`Grid.parts`). UserError
    if the reference or a group's distribution is unknown, if no proxy meets the reference, and as
    `with_objective` says.
    """
    grid = with_objective(grid, objective)
    whole = group_members(grid, groups)
    parts = [(part, members_of_part(part, grid, whole)) for part in grid.parts(reference)]
    if not parts:
        message = f"no scale shares {LEAST} recipes with {reference} on any task"
        raise UserError(message, where="runs.table")
    tables, besides = [], levels or {}
    for part, members in parts:
        rows = [
            row | {"unit": row["unit"] or _unit(row, task, objective, part.better[task])}
            for task in part.tasks
            for row in _task_rows(
                *(part, reference, task, members, confidence),
                lawful=task != NAME or not in_sds(objective),
                besides=besides,
                extent=extent,
            )
        ]
        tables.append(as_table(rows))
    tables += [
        table
        for part, members in parts
        for task in part.tasks
        if len(part.examples[task]) > 1
        for table in _example_tables(part, reference, task, members, confidence, besides)
    ]
    return pa.concat_tables(tables)


def _unit(row: Mapping[str, Any], task: str, objective: Objective, better: str) -> str | None:
    """The unit of what is no share: a task's own, standard deviations, or times the compute."""
    name = row["statistic"].removeprefix("reference_")
    if "_compute" in name:
        return "times the compute"
    if name.startswith(("regret", "pick", "seed_sd")) or row["statistic"] == "reference_sd":
        own = "loss" if better == "lower" else OWN_UNIT
        return "sd over recipes" if task == NAME and in_sds(objective) else own
    return None


def as_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a statistics table; NaN becomes null."""
    columns = {}
    for field in artifacts.SCHEMAS["statistics"]:
        values = [None if (v := row.get(field.name)) != v else v for row in rows]
        columns[field.name] = pa.array(values, field.type)
    columns["version"] = pa.array([DEFINITIONS] * len(rows))
    return artifacts.conform(pa.table(columns), "statistics")


def group_members(grid: Grid, groups: Mapping[str, Sequence[str]]) -> dict[str, Array]:
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


def members_of_part(part: Grid, grid: Grid, whole: Mapping[str, Array]) -> dict[str, Array]:
    """Group → positions of its distributions in a part of the grid, from those in the grid."""
    there = [grid.distributions.index(name) for name in part.distributions]
    return {group: np.flatnonzero(np.isin(there, chosen)) for group, chosen in whole.items()}


def _task_rows(
    grid: Grid,
    reference: str,
    task: str,
    members: Mapping[str, Array],
    confidence: float,
    *,
    lawful: bool,
    besides: Mapping[str, str],
    extent: Extent,
) -> Iterator[dict[str, Any]]:
    """Rows of every group and proxy, for one task; in compute only of what follows a law of it."""
    means, ratios = grid.means(task), grid.compute_ratios(reference)
    sizes = grid.size_ratios(reference)
    last, count = grid.index(reference), len(grid.distributions)
    slope_scale = _next_largest(grid, last, besides) if lawful else None
    for group, chosen in members.items():
        noises = scale_noises(grid, task, pools_of(members, group, count))
        noises = [chosen_noise(noise, chosen) for noise in noises]
        names = [grid.distributions[i] for i in chosen]
        told = list(noise_rows("reference_", means[last][chosen], noises[last], confidence))
        for scale, name in enumerate(grid.scales):
            if scale == last:
                continue
            place = {"level": besides.get(name, DISTRIBUTION), "group": group, "task": task}
            place |= {"proxy": name, "reference": reference, "compute_ratio": ratios[scale]}
            place["size_ratio"] = sizes[scale]
            pair = Pair(
                *(means[scale][chosen], means[last][chosen], noises[scale], noises[last], names),
                below=means[slope_scale][chosen] if slope_scale is not None else None,
                below_ratio=float(ratios[slope_scale]) if slope_scale is not None else np.nan,
                paired=paired_runs(grid, task, scale, last, chosen),
                reference_rows=told,
            )
            most = Extent.BRIEF if place["level"] == CHECKPOINT else Extent.WHOLE
            yield from (place | row for row in pair_rows(pair, confidence, min(extent, most)))


def _next_largest(grid: Grid, last: int, besides: Mapping[str, str]) -> int | None:
    """The largest scale below the reference, for local slopes; None where compute is not known."""
    trained = np.array([name not in besides for name in grid.scales])
    below = np.where(trained & (grid.flops < grid.flops[last]), grid.flops, -np.inf)
    best = int(np.argmax(below))
    return best if np.isfinite(below[best]) else None


def scale_noises(grid: Grid, task: str, pools: Array | None) -> list[Noise]:
    """The seed noise of every scale on a task (`seed_noise`)."""
    values, count = grid.losses[task].mean(axis=1), len(grid.distributions)
    scale, where = np.divmod(grid.cell, count)
    found = []
    for number in range(len(grid.scales)):
        mine = (scale == number) & np.isfinite(values)
        found.append(seed_noise(values[mine], where[mine], pools, count))
    return found


def paired_runs(
    grid: Grid, task: str, one: int, other: int, chosen: Array
) -> tuple[Array, Array, Array]:
    """Runs of two scales with one distribution, draw and seed: values of each, distribution."""
    values, count = grid.losses[task].mean(axis=1), len(grid.distributions)
    scale, where = np.divmod(grid.cell, count)
    kept = np.isfinite(values) & np.isin(where, chosen)
    sides = [np.flatnonzero(kept & (scale == number)) for number in (one, other)]
    keys = [where[rows] * (grid.realized.max() + 1) + grid.realized[rows] for rows in sides]
    _, a, b = np.intersect1d(*keys, return_indices=True)
    return values[sides[0][a]], values[sides[1][b]], where[sides[0][a]]


def _example_tables(
    grid: Grid,
    reference: str,
    task: str,
    members: Mapping[str, Array],
    confidence: float,
    besides: Mapping[str, str],
) -> Iterator[pa.Table]:
    """R² of every example's losses over the distributions of every group of three or more."""
    last = grid.index(reference)
    proxies = [i for i, name in enumerate(grid.scales) if i != last and name not in besides]
    if not proxies:
        return
    means = grid.example_means(task)
    for group, chosen in members.items():
        if len(chosen) >= LEAST:
            place = {"group": group, "task": task, "reference": reference}
            yield _example_table(grid, place, means[:, chosen], proxies, confidence)


def _example_table(
    grid: Grid, place: Mapping[str, str], losses: Array, proxies: list[int], confidence: float
) -> pa.Table:
    """Rows of some distributions: `losses` [scales, distributions, examples]."""
    ids, n = grid.examples[place["task"]], losses.shape[1]
    last = grid.index(place["reference"])
    r = np.stack([pearson(losses[i], losses[last]) for i in proxies])
    found = [intervals.r2_interval(losses[i], losses[last], confidence) for i in proxies]
    low, high = (np.stack(ends) for ends in zip(*found, strict=True))
    rows, each = r.size, len(ids)
    constant = {"statistic": "r2", "level": "example", "version": DEFINITIONS, "n": n, **place}
    columns = {name: pa.repeat(value, rows) for name, value in constant.items()}
    columns["example"] = pa.array(np.tile(ids, len(proxies)))
    columns["proxy"] = pa.array(np.repeat([grid.scales[i] for i in proxies], each))
    ratios = np.repeat(grid.compute_ratios(place["reference"])[proxies], each)
    for name, values in (("value", r**2), ("low", low), ("high", high), ("compute_ratio", ratios)):
        columns[name] = pa.array(values.ravel(), mask=np.isnan(values.ravel()))
    columns["unit"] = pa.array([NEGATIVE if x < 0 else None for x in r.ravel()], pa.string())
    return artifacts.conform(pa.table(columns), "statistics")
