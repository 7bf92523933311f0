"""What many readers of tables do: rows by the values of columns, columns of one value."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


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
