"""Every scale tried on every task: what trust is in, with its bound, from a statistics table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError
from proxyscale.statistics.intervals import decision_bound

DECISIONS, REGRET, COMPUTE = "decisions", "regret", "compute"
ROWS = {DECISIONS: "decision_accuracy", REGRET: "regret_next", COMPUTE: "regret_next_compute"}


class Trust(NamedTuple):
    """What a scale must be known to do: `kind` is decisions, regret or compute."""

    kind: str = DECISIONS
    level: float = 0.9

    def met(self, value: float) -> bool:
        """Whether an estimate or a bound is on the right side of the level; NaN is not."""
        return value > self.level if self.kind == DECISIONS else value < self.level


class Trial(NamedTuple):
    """One scale on one task: what trust is in, estimated and with its one-sided bound."""

    task: str
    scale: str
    estimate: float  # decision accuracy, regret or factor of compute; NaN where it cannot be told
    bound: float
    accuracy: float
    n: int  # distributions
    pairs: float  # that the reference orders
    tied: float  # share of them that the proxy ties
    compute_ratio: float  # the reference's over its own; NaN where it is not known
    size_ratio: float  # the same of parameters
    seeds: float
    reference_seeds: float
    ceilings: tuple[float, float]  # R² ceilings of proxy and reference; NaN without seeds
    unit: str


def trust_of(said: float | Mapping[str, float]) -> Trust:
    """Trust as a config says it: 0.9, {decisions: 0.9}, {regret: 0.1} or {compute: 1.2}."""
    pairs = list(said.items()) if isinstance(said, Mapping) else [(DECISIONS, float(said))]
    found = Trust(*pairs[0]) if len(pairs) == 1 else None
    if found is None or found.kind not in ROWS:
        raise UserError("is one of these", where="trust", value=str(said), allowed=list(ROWS))
    least, most = {DECISIONS: (0.5, 1.0), REGRET: (0.0, np.inf), COMPUTE: (1.0, np.inf)}[found.kind]
    if not least <= found.level < most:
        raise UserError(f"a level of {found.kind} is {least:g} or more", value=found.level)
    return found


def trials(
    statistics: pa.Table, confidence: float, trust: Trust | None = None, group: str = "all"
) -> dict[str, list[Trial]]:
    """Every task's scales, the largest proxy first.

    They stand in the order of their compute, where that of some is not known in that of their
    sizes; UserError if those are not known either. Extrapolations, which have no r2, stay out, and
    of scales of equal compute all but the first.
    """
    chosen = pc.and_(
        pc.equal(statistics["level"], "distribution"), pc.equal(statistics["group"], group)
    )
    table: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in statistics.filter(chosen).to_pylist():
        table.setdefault((row["task"], row["proxy"]), {})[row["statistic"]] = row
    tasks: dict[str, list[Trial]] = {}
    for (task, proxy), rows in table.items():
        if "r2" in rows:
            trial = _test(task, proxy, rows, confidence, trust or Trust())
            tasks.setdefault(task, []).append(trial)
    return {task: _ordered(scales) for task, scales in tasks.items()}


def _ordered(scales: list[Trial]) -> list[Trial]:
    """The largest first. Of scales of equal compute, which differ in a learning rate or the like,
    the first named; scales of equal size of which no more is known cannot be ordered."""
    if len(scales) == 1:
        return scales
    if not np.isnan([tested.compute_ratio for tested in scales]).any():
        by_compute = sorted(scales, key=lambda tested: tested.compute_ratio)
        first = [math.nan, *(tested.compute_ratio for tested in by_compute)]
        return [
            t for t, before in zip(by_compute, first, strict=False) if t.compute_ratio != before
        ]
    sizes = [tested.size_ratio for tested in scales]
    if np.isnan(sizes).any() or len(set(sizes)) < len(sizes):
        names = ", ".join(tested.scale for tested in scales)
        raise UserError(
            "the verdict tests scales in the order of their compute or size, and neither tells "
            f"that of {names}",
            where="runs: flops",
            hint="give each scale's parameters and tokens",
        )
    return sorted(scales, key=lambda tested: tested.size_ratio)


def _test(
    task: str, proxy: str, rows: dict[str, dict[str, Any]], confidence: float, trust: Trust
) -> Trial:
    """A scale's estimate and bound, from its rows by statistic."""

    def value(statistic: str) -> float:
        found = rows.get(statistic, {}).get("value")
        return np.nan if found is None else float(found)

    row, accuracy = rows["decision_accuracy"], value("decision_accuracy")
    n = row["n"]
    pairs = n * (n - 1) / 2 * (1 - np.nan_to_num(value("reference_ties")))
    if trust.kind == DECISIONS:
        estimate = accuracy
        bound = float(np.nan_to_num(_decisions_bound(accuracy, n, pairs, confidence)))
    else:
        estimate, bound = value(ROWS[trust.kind]), value(f"{ROWS[trust.kind]}_excluded")
    return Trial(
        task=task,
        scale=proxy,
        estimate=estimate,
        bound=bound,
        accuracy=accuracy,
        n=n,
        pairs=pairs,
        tied=value("proxy_ties"),
        compute_ratio=np.nan if row["compute_ratio"] is None else row["compute_ratio"],
        size_ratio=np.nan if row.get("size_ratio") is None else row["size_ratio"],
        seeds=value("seeds"),
        reference_seeds=value("reference_seeds"),
        ceilings=(value("noise_ceiling"), value("reference_noise_ceiling")),
        unit=rows.get(ROWS[trust.kind], {}).get("unit") or "",
    )


def _decisions_bound(accuracy: Any, n: int, pairs: float, confidence: float) -> Any:
    every = n * (n - 1) / 2
    return decision_bound(np.asarray(accuracy), n, confidence, None if pairs == every else pairs)
