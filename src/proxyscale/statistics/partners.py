"""Which recipes two scales share, and which pairs a scale ties: truly and in short."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.progress import few
from proxyscale.statistics.grid import LEAST, Array, Grid

SHOWN = 5  # names
SHOWN_TASKS = 3


def partners_told(grid: Grid, reference: str) -> list[str]:
    """A line for each proxy that does not meet the reference over all recipes on all tasks.

    The last line names the scales that some task lacks, so that they stay out of the verdict over
    all tasks and of the laws.
    """
    last, lines = grid.index(reference), []
    for scale in range(len(grid.scales)):
        if scale != last:
            lines += _meeting(grid, scale, last)
    joint = grid.joint_scales(reference)
    away = [name for name in grid.scales if name not in joint]
    if away:
        lines.append(
            f"not on every task, so left out of the verdict over all tasks and of the laws: "
            f"{', '.join(away)}"
        )
    absent = [task for task in grid.tasks if not grid.has(task)[last].any()]
    if absent:
        lines.append(f"not measured at {reference}, left out: {few(absent, SHOWN_TASKS)}")
    return lines


def _meeting(grid: Grid, scale: int, last: int) -> list[str]:
    """Lines on one proxy: one for all tasks that lack the same recipes."""
    name, reference = grid.scales[scale], grid.scales[last]
    kinds: dict[tuple[bytes, bytes], list[str]] = {}
    for task in grid.tasks:
        has = grid.has(task)
        if has[last].any() and not has.all():
            kinds.setdefault((has[scale].tobytes(), has[last].tobytes()), []).append(task)
    lines = []
    for (own, wanted), tasks in kinds.items():
        mine, theirs = (np.frombuffer(b, dtype=bool) for b in (own, wanted))
        if (mine == theirs).all():
            continue
        n = int((mine & theirs).sum())
        where = "" if len(tasks) == len(grid.tasks) else f" on {few(tasks, SHOWN_TASKS)}"
        parts = [
            f"{(a & ~b).sum()} of {one} not at {other}: {_named(grid, a & ~b)}"
            for a, b, one, other in (
                (theirs, mine, reference, name),
                (mine, theirs, name, reference),
            )
            if (a & ~b).any()
        ]
        verb = (
            f"meets {reference} over {n} recipes"
            if n >= LEAST
            else (f"shares {n} recipe{'s' * (n != 1)} with {reference}, too few to compare")
        )
        lines.append(f"{name} {verb}{where} ({'; '.join(parts)})")
    return lines


def _named(grid: Grid, chosen: Array) -> str:
    return few([grid.distributions[i] for i in np.flatnonzero(chosen)], SHOWN)


def ties_told(statistics: pa.Table) -> list[str]:
    """A line for each proxy that ties pairs, on which tasks and how many; and that it orders
    nothing where it ties them all."""
    chosen = pc.and_(
        pc.equal(statistics["statistic"], "proxy_ties"), pc.equal(statistics["group"], "all")
    )
    whole: dict[str, list[str]] = {}
    some: dict[str, dict[str, float]] = {}
    for row in statistics.filter(chosen).to_pylist():
        if row["value"] == 1:
            whole.setdefault(row["proxy"], []).append(row["task"])
        elif row["value"]:
            some.setdefault(row["proxy"], {})[row["task"]] = row["value"]
    lines = [
        f"{proxy} has one value for all recipes on {few(tasks, SHOWN_TASKS)}: it orders nothing, "
        "and every pair counts one half"
        for proxy, tasks in whole.items()
    ]
    for proxy, shares in some.items():
        low, high = (f"{end:.1%}" for end in (min(shares.values()), max(shares.values())))
        told = low if low == high else f"{low} to {high}"
        lines.append(
            f"{proxy} ties {told} of pairs on {few(list(shares), SHOWN_TASKS)}, each of which "
            "counts one half"
        )
    return lines
