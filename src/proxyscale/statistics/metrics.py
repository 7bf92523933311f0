"""Which measure of a task a proxy foretells best: losses, accuracy, what lies between them.

- `loss`: nats per scored token, mean over examples; all other statistics are of it.
- `bits_per_token`, `bits_per_byte`, `bits_per_character`: bits of all examples together over their
  length, as lm-evaluation-harness has them.
- `accuracy`; `lead`: nats per token by which the right choice is ahead of the best wrong one;
  `margin`: mean log(p/(1 − p)) of the scored tokens; `probability`: of the whole right answer,
  among its choices where there are any. Means over examples; higher is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.tables import with_constants
from proxyscale.statistics.gathering import RUN, Gathered
from proxyscale.statistics.grid import Array
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.objective import NAME
from proxyscale.statistics.pair_statistics import Extent
from proxyscale.statistics.proxy_statistics import DISTRIBUTION, as_table, summarize

LEVEL = "metric"
KEPT = (
    *("r2", "pearson", "spearman", "decision_accuracy"),
    *("signal_to_noise", "reference_signal_to_noise", "noise_ceiling", "reference_noise_ceiling"),
)
HIGHER = {"accuracy": "correct", "lead": "lead", "margin": "margin", "probability": "probability"}
BITS = ("bits_per_token", "bits_per_byte", "bits_per_character")


class Length(NamedTuple):
    """Of the scored text of a test set."""

    bytes: int
    characters: int


def length_of(task: Path) -> Length:
    """The length of a task's right answers, from its folder."""
    table = artifacts.read(task / "holdout.parquet", "task", ["gold", "bytes", "characters"])
    table = table.filter(table["gold"])
    return Length(*(pc.sum(table[name]).as_py() or 0 for name in ("bytes", "characters")))


def metric_statistics(
    losses: Gathered,
    runs: pa.Table,
    lengths: Mapping[str, Length],
    *,
    reference: str,
    groups: Mapping[str, Sequence[str]],
    confidence: float,
) -> pa.Table:
    """Rows of level `metric`, `named` after it: how well a proxy foretells that of the reference.

    `best_metric` names for each proxy, task and group the metric whose pairs of distributions it
    orders best, the first of those above where several do. No rows where losses are all there is.
    """
    measured = list(_tables(losses, lengths))
    if len(measured) < 2:
        return as_table([])
    tables = []
    for name, table in measured:
        grid = read_grid(table, runs)
        found = summarize(
            grid, reference=reference, groups=groups, confidence=confidence, extent=Extent.LEAST
        )
        kept = pc.and_(
            pc.is_in(found["statistic"], pa.array(KEPT)), pc.not_equal(found["task"], NAME)
        )
        found = found.filter(pc.and_(kept, pc.equal(found["level"], DISTRIBUTION)))
        found = with_constants(found.drop_columns(["level", "named"]), level=LEVEL, named=name)
        tables.append(artifacts.conform(found, "statistics"))
    return pa.concat_tables([*tables, _best(pa.concat_tables(tables))])


def _best(found: pa.Table) -> pa.Table:
    best: dict[tuple[str, ...], dict[str, Any]] = {}
    rows = found.filter(pc.equal(found["statistic"], "decision_accuracy")).to_pylist()
    for row in rows:
        key = row["group"], row["task"], row["proxy"]
        if row["value"] is not None and row["value"] > best.get(key, {"value": -1})["value"]:
            best[key] = row
    return as_table([row | {"statistic": "best_metric"} for row in best.values()])


def _tables(losses: Gathered, lengths: Mapping[str, Length]) -> Iterator[tuple[str, pa.Table]]:
    """Every metric with a table of losses, a number for each run and task that has it."""
    known = pc.fill_null(pc.equal(losses.keys["better"], "lower"), True)
    table = losses.by_run(known)
    keys = table.select([*RUN, "task"])
    rows, nats, tokens = (table[name].to_numpy() for name in ("rows", "nats", "tokens"))
    yield "loss", _as_losses(keys, table["loss"].to_numpy() / rows, "lower")
    for name, unit in zip(BITS, ("token", "bytes", "characters"), strict=True):
        size = tokens
        if unit != "token":
            sizes = {task: getattr(one, unit) for task, one in lengths.items()}
            size = np.array([sizes.get(task, np.nan) for task in keys["task"].to_pylist()])
        with np.errstate(invalid="ignore", divide="ignore"):
            bits = np.where(size > 0, nats / np.log(2) / size, np.nan)
        yield from _known(name, keys, bits, "lower")
    for name, column in HIGHER.items():
        yield from _known(name, keys, -table[column].to_numpy() / rows, "higher")


def _known(name: str, keys: pa.Table, values: Array, better: str) -> Iterator[tuple[str, pa.Table]]:
    """The metric, over the tasks of which every run has it."""
    lacking = keys["task"].filter(pa.array(np.isnan(values))).unique()
    there = pc.invert(pc.is_in(keys["task"], lacking))
    if pc.any(there).as_py():
        yield name, _as_losses(keys.filter(there), values[there.to_numpy()], better)


def _as_losses(keys: pa.Table, values: Array, better: str) -> pa.Table:
    """A table of losses of one example a run and task."""
    table = keys.append_column("loss", pa.array(values))
    return artifacts.conform(with_constants(table, example=0, better=better), "losses")
