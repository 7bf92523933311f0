"""What a verdict is seen beside: rivals that train nothing, groups that disagree, seeds that go
together.

Both are read from a statistics table, task by task.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.statistics.proxy_statistics import DISTRIBUTION, RIVAL

Values = dict[tuple[str, str], float]  # by (task, proxy)


class Match(NamedTuple):
    """A rival that orders no fewer pairs of a task right than a proxy, the largest of those."""

    task: str
    rival: str
    share: float
    scale: str
    scale_share: float


class Contrary(NamedTuple):
    """Tasks on which a group says otherwise than all distributions do, of one scale."""

    group: str
    scale: str
    turned: tuple[str, ...]  # r has the other sign
    costly: tuple[str, ...]  # following the scale is known to cost, which it is not among all
    free: tuple[str, ...]  # the other way about


class Together(NamedTuple):
    """A task on which seeds move a scale and the reference alike, or against each other."""

    task: str
    scale: str
    value: float
    low: float
    high: float


def together(table: pa.Table, tasks: Collection[str], scale: str) -> tuple[Together, ...]:
    """Where the correlation of a scale's seed differences with the reference's leaves out 0."""
    value, low, high = (
        _values(table, "seed_correlation", DISTRIBUTION, column=column)
        for column in ("value", "low", "high")
    )
    places = [(task, scale) for task in tasks if (task, scale) in low]
    return tuple(
        Together(*place, value[place], low[place], high[place])
        for place in places
        if low[place] > 0 or high[place] < 0
    )


def matches(table: pa.Table, tasks: Collection[str], scales: Collection[str]) -> tuple[Match, ...]:
    """For each task the best rival, if it orders as well as one of the scales, cheapest first."""
    rivals = _values(table, "decision_accuracy", RIVAL)
    found, shares = [], _values(table, "decision_accuracy", DISTRIBUTION)
    for task in tasks:
        mine = {name: share for (t, name), share in rivals.items() if t == task}
        if not mine:
            continue
        best = max(mine, key=mine.__getitem__)
        level = [s for s in scales if shares.get((task, s), 2.0) <= mine[best]]
        if level:
            found.append(Match(task, best, mine[best], level[-1], shares[task, level[-1]]))
    return tuple(found)


def contrary(table: pa.Table, group: str, tasks: Collection[str], scale: str) -> Contrary | None:
    """Where a group turns what all distributions say of a scale; None where it does not."""
    here, there = (_values(table, "pearson", DISTRIBUTION, g) for g in ("all", group))
    costs, theirs = (_values(table, "regret", DISTRIBUTION, g, "low") for g in ("all", group))
    places = [(task, scale) for task in tasks]
    turned = [p[0] for p in places if here.get(p, 0.0) * there.get(p, 0.0) < 0]
    both = [p for p in places if p in costs and p in theirs]
    costly = [p[0] for p in both if theirs[p] > 0 >= costs[p]]
    free = [p[0] for p in both if costs[p] > 0 >= theirs[p]]
    if not (turned or costly or free):
        return None
    return Contrary(group, scale, tuple(turned), tuple(costly), tuple(free))


def _values(
    table: pa.Table, statistic: str, level: str, group: str = "all", column: str = "value"
) -> Values:
    """A column of a statistic's rows, without what is not known."""
    for name, value in (("statistic", statistic), ("level", level), ("group", group)):
        table = table.filter(pc.equal(table[name], value))
    rows = table.select(["task", "proxy", column]).to_pylist()
    return {(row["task"], row["proxy"]): row[column] for row in rows if row[column] is not None}
