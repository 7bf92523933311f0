"""What a verdict is seen beside: rivals that train nothing, groups that disagree, seeds that go
together.

Both are read from a statistics table, task by task.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.statistics.proxy_statistics import DISTRIBUTION, RIVAL

Values = dict[tuple[str, str], float]  # by (task, proxy)
READ = ("seed_correlation", "decision_accuracy", "pearson", "regret")


class Rows:
    """The rows of a statistics table that second looks read, by what they are of."""

    def __init__(self, table: pa.Table) -> None:
        self._rows: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
        self._found: dict[tuple[str, ...], Values] = {}
        columns = ["statistic", "level", "group", "task", "proxy", "value", "low", "high"]
        kept = table.filter(pc.is_in(table["statistic"], pa.array(READ))).select(columns)
        for row in kept.to_pylist():
            self._rows[row["statistic"], row["level"], row["group"]].append(row)

    def values(
        self, statistic: str, level: str, group: str = "all", column: str = "value"
    ) -> Values:
        """A column of a statistic's rows, without what is not known."""
        place = statistic, level, group
        if (*place, column) not in self._found:
            self._found[*place, column] = {
                (row["task"], row["proxy"]): row[column]
                for row in self._rows[place]
                if row[column] is not None
            }
        return self._found[*place, column]


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


def together(rows: Rows, tasks: Collection[str], scale: str) -> tuple[Together, ...]:
    """Where the correlation of a scale's seed differences with the reference's leaves out 0."""
    value, low, high = (
        rows.values("seed_correlation", DISTRIBUTION, column=column)
        for column in ("value", "low", "high")
    )
    places = [(task, scale) for task in tasks if (task, scale) in low]
    return tuple(
        Together(*place, value[place], low[place], high[place])
        for place in places
        if low[place] > 0 or high[place] < 0
    )


def matches(rows: Rows, tasks: Collection[str], scales: Collection[str]) -> tuple[Match, ...]:
    """For each task the best rival, if it orders as well as one of the scales, cheapest first."""
    rivals = rows.values("decision_accuracy", RIVAL)
    names = list(dict.fromkeys(name for _, name in rivals))
    found, shares = [], rows.values("decision_accuracy", DISTRIBUTION)
    for task in tasks:
        mine = {name: rivals[task, name] for name in names if (task, name) in rivals}
        if not mine:
            continue
        best = max(mine, key=mine.__getitem__)
        level = [s for s in scales if shares.get((task, s), 2.0) <= mine[best]]
        if level:
            found.append(Match(task, best, mine[best], level[-1], shares[task, level[-1]]))
    return tuple(found)


def contrary(rows: Rows, group: str, tasks: Collection[str], scale: str) -> Contrary | None:
    """Where a group turns what all distributions say of a scale; None where it does not."""
    here, there = (rows.values("pearson", DISTRIBUTION, g) for g in ("all", group))
    costs, theirs = (rows.values("regret", DISTRIBUTION, g, "low") for g in ("all", group))
    places = [(task, scale) for task in tasks]
    turned = [p[0] for p in places if here.get(p, 0.0) * there.get(p, 0.0) < 0]
    both = [p for p in places if p in costs and p in theirs]
    costly = [p[0] for p in both if theirs[p] > 0 >= costs[p]]
    free = [p[0] for p in both if costs[p] > 0 >= theirs[p]]
    if not (turned or costly or free):
        return None
    return Contrary(group, scale, tuple(turned), tuple(costly), tuple(free))
