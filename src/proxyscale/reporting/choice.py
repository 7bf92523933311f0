"""What to train on: which distribution each scale picks and what following it costs, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.progress import few
from proxyscale.statistics.objective import NAME
from proxyscale.statistics.regrets import MOST_COMPUTE

MOST_SENTENCES = 3  # test sets that are told one by one, where nothing combines them
MOST_NAMES = 4
Row = dict[str, Any]
Rows = dict[str, Row]  # of one proxy on one task, by statistic


def choice_words(
    statistics: pa.Table,
    reference: str,
    scales: list[str],
    *,
    labels: Mapping[str, str],
    unit: str,
    confidence: float,
) -> list[str]:
    """A paragraph for all distributions, and one for each group that says otherwise or not.

    `scales`: the proxies, cheapest first. Of several tasks the objective's is told, where there is
    one; else the first tasks'. Losses are in `unit`.
    """
    chosen = pc.and_(
        pc.equal(statistics["level"], "distribution"), pc.equal(statistics["reference"], reference)
    )
    table: dict[tuple[str, str], dict[str, Rows]] = {}
    for row in statistics.filter(chosen).to_pylist():
        proxies = table.setdefault((row["group"], row["task"]), {})
        proxies.setdefault(row["proxy"], {})[row["statistic"]] = row
    told = []
    for group in sorted({group for group, _ in table}, key=lambda name: name != "all"):
        tasks = [task for g, task in table if g == group and "pick" in _any(table[g, task])]
        tasks = [NAME] if NAME in tasks else tasks[:MOST_SENTENCES]
        words = _Words(reference, labels, unit, f"{confidence:.0%}")
        parts = [" ".join(words.of(task, table[group, task], scales)) for task in tasks]
        where = "" if group == "all" else f"Among {labels.get(group, group)} alone: "
        told += [where + part[0].lower() * bool(where) + part[bool(where) :] for part in parts]
    return told


def _any(proxies: Mapping[str, Rows]) -> set[str]:
    return {statistic for rows in proxies.values() for statistic in rows}


class _Words:
    """Sentences with one study's names and units."""

    def __init__(self, reference: str, labels: Mapping[str, str], unit: str, sure: str) -> None:
        self.reference, self.labels, self.unit, self.sure = reference, labels, unit, sure

    def of(self, task: str, proxies: Mapping[str, Rows], scales: list[str]) -> Iterator[str]:
        """Who picks what, what the others' picks cost here, and what the cheapest costs next."""
        known = [scale for scale in scales if "pick" in proxies.get(scale, {})]
        where = "On the objective, over all test sets" if task == NAME else f"On {self._name(task)}"
        first = proxies[known[0]]
        if first["reference_ties"]["value"] == 1:
            yield f"{where}, {self._name(self.reference)} has one value for all: none is better."
            return
        best = self._name(first["reference_pick"]["named"])
        blind = [scale for scale in known if proxies[scale]["proxy_ties"]["value"] == 1]
        known = [scale for scale in known if scale not in blind]
        alike: list[str] = []
        others: list[str] = []
        for scale in known:
            rows = proxies[scale]
            same = rows["pick"]["named"] == rows["reference_pick"]["named"]
            (alike if same else others).append(scale)
        yield f"{where}, {self._name(self.reference)} would train on {best}; {self._so(alike)}."
        for scale in others[:MOST_NAMES]:
            yield self._here(scale, proxies[scale])
        if (more := len(others) - MOST_NAMES) > 0:
            pick, reference = "picks" if more == 1 else "pick", self._name(self.reference)
            yield f"{more} more {pick} others than {reference}: see the table."
        for scale in blind[:MOST_NAMES]:
            yield f"{self._name(scale)} has one value for all and picks none."
        for scale in known[:1]:
            yield from self._next(scale, proxies[scale])

    def _so(self, alike: list[str]) -> str:
        if not alike:
            return "no proxy would"
        *names, last = map(self._name, alike)
        if len(alike) > MOST_NAMES:
            return f"so would {few([*names, last], MOST_NAMES)}"
        return f"so would {', '.join(names)} and {last}" if names else f"so would {last}"

    def _here(self, scale: str, rows: Rows) -> str:
        found, picked = rows["regret"], self._name(rows["pick"]["named"])
        start = f"{self._name(scale)} would train on {picked}"
        if found["value"] == 0:
            return f"{start}, which is as good here."
        return f"{start}, which costs {self._amount(found)} here{self._compute(rows)}."

    def _next(self, scale: str, rows: Rows) -> Iterator[str]:
        ahead, excluded = rows.get("regret_next"), rows.get("regret_next_excluded")
        if ahead is None or ahead["value"] is None:
            return
        bound = excluded["value"] if excluded else None
        tail = (
            "; nothing is excluded"
            if bound is None
            else f"; more than {bound:.2g} is excluded with {self.sure} confidence"
        )
        yield (
            f"Next time, of {ahead['n']} new ones of the same kind, what {self._name(scale)} picks "
            f"is expected to cost {self._amount(ahead)}{tail}."
        )

    def _amount(self, row: Row) -> str:
        """A value with its interval and unit."""
        ends = ""
        if row["low"] is not None and row["high"] is not None:
            ends = f" [{row['low']:.2g}, {row['high']:.2g}]"
        return f"{row['value']:.2g} {self.unit if row['unit'] == 'loss' else row['unit']}{ends}"

    def _compute(self, rows: Rows) -> str:
        """The compute that would make up for it, where that can be told."""
        factor = rows.get("regret_compute", {}).get("value")
        if factor is None:
            return ""
        told = f"more than {MOST_COMPUTE:g}" if factor > MOST_COMPUTE else f"{factor:.3g}"
        return f", what {told} times the compute would make up for"

    def _name(self, name: str) -> str:
        return self.labels.get(name, name)
