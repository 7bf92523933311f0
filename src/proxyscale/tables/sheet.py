"""A table as it stands in its file: named columns of cells, and what the file says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from proxyscale.base.errors import UserError

ABSENT = "\x00"  # a cell that the file does not have: not empty, but never written
UNNAMED = "index"  # what a column without a heading is called: mostly a data frame's index


@dataclass(frozen=True)
class Sheet:
    """Cells are text where the file is text, else as the file types them."""

    path: str
    frame: pd.DataFrame
    comma: bool = False  # cells are parted by semicolons: a comma is a decimal one
    better: Mapping[str, str] = field(default_factory=dict)  # metric → lower or higher, as told
    every_metric: bool = False  # an evaluation program's file: all its metrics are meant

    def with_frame(self, frame: pd.DataFrame) -> Sheet:
        """The same sheet with other cells."""
        return Sheet(self.path, frame, self.comma, self.better, self.every_metric)


def from_rows(
    path: str, rows: Sequence[Sequence[Any]], header: Sequence[str] | None, comma: bool = False
) -> Sheet:
    """A sheet of rows of cells; the first is the heading, unless there is a `header`.

    UserError for a column that is named twice, and for a heading that looks like a row of data.
    """
    if header is None:
        names = [heading(cell) for cell in rows[0]] if rows else []
        rows = rows[1:]
    else:
        names = list(header)
        if rows and len(names) != len(rows[0]):
            message = f"{len(names)} names for {len(rows[0])} columns"
            raise UserError(
                message, where=f"{path}: runs.header", hint="name every column, in order"
            )
    if not rows:
        raise UserError("the table has no rows", where=path)
    columns = list(zip(*rows, strict=True))
    kept = [
        i for i, name in enumerate(names) if name or any(c not in ("", None) for c in columns[i])
    ]
    frame = pd.DataFrame({i: pd.Series(columns[i], dtype=object) for i in kept})
    frame.columns = unique([names[i] or UNNAMED for i in kept], path)
    return Sheet(path, frame, comma)


def heading(cell: Any) -> str:
    """A cell as a column's name."""
    if isinstance(cell, float) and cell == int(cell) and abs(cell) < 1e15:
        cell = int(cell)
    name = "" if cell is None else str(cell).strip()
    if isinstance(cell, float):
        name = name.replace("e+", "e")
    return "" if name.startswith("Unnamed: ") else name


def unique(names: Sequence[str], path: str) -> list[str]:
    """The names. UserError for one that stands twice."""
    for name in names:
        if list(names).count(name) > 1:
            raise UserError(
                "two columns have this name",
                where=path,
                value=name,
                hint=f"rename one of the columns {name!r}",
            )
    return list(names)
