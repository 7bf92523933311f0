"""What many readers of tables do: rows by the values of columns, columns of one value,
losses that can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError


def where(table: pa.Table, **values: Any) -> pa.Table:
    """The rows where columns have these values."""
    for column, value in values.items():
        table = table.filter(pc.equal(table[column], value))
    return table


def with_constants(table: pa.Table, **values: Any) -> pa.Table:
    """The table with a further column for each of the values, the same in every row."""
    for name, value in values.items():
        table = table.append_column(name, pa.repeat(pa.scalar(value), len(table)))
    return table


def check_losses(table: pa.Table, where: str, vocabulary: int | None = None) -> pa.Table:
    """The table, if its losses (nats) are possible; UserError if one is not finite.

    With a vocabulary of V tokens no run's mean may be above 3·ln V, and none of an example above
    20·ln V: a model that knows nothing loses ln V.
    """
    losses = table["loss"].to_numpy()
    wrong = losses[~np.isfinite(losses)]
    if vocabulary is not None and not len(wrong) and len(losses):
        limit = math.log(vocabulary)
        wrong = losses[losses > 20 * limit]
        if losses.mean() > 3 * limit:
            wrong = losses.mean(keepdims=True)
    if len(wrong):
        raise UserError(
            f"a loss of {wrong[0]:g} is impossible: the run diverged",
            where=where,
            hint="a lower learning_rate, or training text that has what the test set is about",
        )
    return table
