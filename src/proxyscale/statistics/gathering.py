"""Losses of many rows in one pass: what the grid needs of each row, and sums over each run's rows.

Rows of one run and task lie together in every table that is written here. So what tells them apart
is looked at once for each such stretch, not once for each row; a table in any other order has more
stretches, and the same numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from proxyscale.base.artifacts import SCHEMAS
from proxyscale.statistics.grid import Array

RUN = ["scale", "distribution", "draw", "seed"]  # the columns that tell runs apart
KEYS = [*RUN, "task", "better"]
SUMMED = ["loss", "nats", "tokens", "correct", "margin", "probability", "lead"]


class Gathered(NamedTuple):
    """Losses, a stretch of rows of one run and task after the other."""

    keys: pa.Table  # [stretches]: run, task and which values are better
    counts: Array  # [stretches] rows of each
    sums: dict[str, Array]  # of each of `SUMMED` [stretches]; NaN where any row lacks it
    examples: Array  # [rows] ids; 0 where there are none
    losses: Array  # [rows]; NaN where there are none

    def by_run(self, kept: pa.ChunkedArray | None = None) -> pa.Table:
        """The sums over all rows of each run and task, and their number as `rows`; of all
        stretches, or of those that are kept."""
        table = self.keys.append_column("rows", pa.array(self.counts))
        for name, values in self.sums.items():
            table = table.append_column(name, pa.array(values))
        names = ["rows", *self.sums]
        asked = [(name, "sum") for name in names]
        table = table if kept is None else table.filter(kept)
        found = table.group_by([*RUN, "task"], use_threads=False).aggregate(asked)
        return found.rename_columns([*RUN, "task", *names])


def gathered(losses: pa.Table | pa.RecordBatchReader) -> Gathered:
    """A table of losses, or what reads one a part at a time."""
    each = losses.to_batches() if isinstance(losses, pa.Table) else losses
    schema = SCHEMAS["losses"]
    none = pa.record_batch([pa.nulls(0, field.type) for field in schema], schema)
    return together([_of_batch(none), *map(_of_batch, each)])


def together(parts: list[Gathered]) -> Gathered:
    """All parts as one."""
    return Gathered(
        pa.concat_tables([part.keys for part in parts]),
        np.concatenate([part.counts for part in parts]),
        {name: np.concatenate([part.sums[name] for part in parts]) for name in SUMMED},
        np.concatenate([part.examples for part in parts]),
        np.concatenate([part.losses for part in parts]),
    )


def _of_batch(batch: pa.RecordBatch) -> Gathered:
    """One part: sums are taken in double, whatever the column is in."""
    changes = np.arange(len(batch)) == 0
    for name in KEYS:
        column = batch[name]
        coded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
        places = coded.indices.fill_null(-1).to_numpy()
        changes[1:] |= places[1:] != places[:-1]
    starts = np.flatnonzero(changes)
    keys = pa.Table.from_batches([batch.select(KEYS).take(pa.array(starts))])
    values = {name: batch[name].to_numpy(zero_copy_only=False) for name in SUMMED if name != "nats"}
    values["nats"] = values["loss"] * values["tokens"]
    return Gathered(
        keys.cast(pa.schema([SCHEMAS["losses"].field(name) for name in KEYS])),
        np.diff(starts, append=len(batch)),
        {name: np.add.reduceat(values[name], starts, dtype=float) for name in SUMMED},
        batch["example"].fill_null(0).to_numpy(),
        values["loss"],
    )
