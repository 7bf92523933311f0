"""JSON as people write tables in it: records, columns, lines, and what pandas makes of a frame."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from proxyscale.base.errors import UserError
from proxyscale.tables.sheet import ABSENT, UNNAMED, Sheet, from_rows

BARE = re.compile(r"(?<=[:,\[(\s])(-?(?:nan|inf))(?=[,\])}\s])")  # as Python prints them


def read_json_table(path: str, text: str, header: Sequence[str] | None = None) -> Sheet:
    """The table of a JSON text: a list of records or rows, columns, or a record a line.

    A record within a record gives columns `outer/inner`. UserError for anything else.
    """
    value = load(text)
    if isinstance(value, dict) and {"columns", "data"} <= set(value):
        return from_rows(path, [list(value["columns"]), *value["data"]], None)
    if isinstance(value, dict) and {"schema", "data"} <= set(value):
        return records(path, value["data"])
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        return from_rows(path, value, header)
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return records(path, value)
    if isinstance(value, dict) and value:
        inner = list(value.values())
        if all(isinstance(column, list) for column in inner):
            if len({len(column) for column in inner}) > 1:
                raise UserError("its columns have different lengths", where=path)
            return records(
                path, [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
            )
        if all(isinstance(column, dict) for column in inner):
            return records(path, _nested(value))
    raise UserError(
        "this JSON is no table",
        where=path,
        hint="a list of records, columns as lists, or one record a line",
    )


def load(text: str) -> Any:
    """The value of a JSON text, or of its lines. ValueError if it is neither.

    NaN and infinities stay as words. UserError for a key that stands twice in one record.
    """
    options: dict[str, Any] = {"parse_constant": str, "object_pairs_hook": _once}
    try:
        return json.loads(text, **options)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line, **options))
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number}: {error}") from None
    return rows


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError("this key stands twice in one record", where="runs.table", value=twice)
    return found


def _nested(value: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records of {column: {row: cell}} or of {row: {column: cell}}."""
    inner = [list(cells) for cells in value.values()]
    by_column = all(keys == inner[0] for keys in inner) and all(key.isdigit() for key in inner[0])
    if by_column and not all(key.isdigit() for key in value):
        return [{name: cells[row] for name, cells in value.items()} for row in inner[0]]
    if all(key.isdigit() for key in value):  # rows that are numbered
        return [dict(cells) for cells in value.values()]
    return [{UNNAMED: row, **cells} for row, cells in value.items()]


def records(path: str, rows: Sequence[Mapping[str, Any]]) -> Sheet:
    """A sheet of records; a key that a record lacks is an absent cell."""
    flat = [flattened(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    columns = {name: [row.get(name, ABSENT) for row in flat] for name in names}
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
    return Sheet(path, frame)


def flattened(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A record without records in it: their keys are joined by slashes."""
    found: dict[str, Any] = {}
    for name, cell in row.items():
        if isinstance(cell, Mapping):
            found |= flattened(cell, f"{before}{name}/")
        else:
            found[f"{before}{name}"] = cell
    return found


def expanded(sheet: Sheet) -> Sheet:
    """The sheet with columns in place of one whose cells are records, as values or as text."""
    frame = sheet.frame
    for name in list(frame.columns):
        cells = [cell for cell in frame[name].head(50) if cell != ABSENT]
        if not cells or not all(_is_record(cell) for cell in cells):
            continue
        parts = []
        for row, cell in enumerate(frame[name], 1):
            try:
                found = _record(cell)
            except (ValueError, SyntaxError):
                message = f"row {row}, column {name}: this is no record: {str(cell)[:60]!r}"
                raise UserError(message, where=sheet.path) from None
            parts.append(flattened(found))
        more = records(sheet.path, parts).frame
        more = more.rename(
            columns={n: n if n not in frame.columns else f"{name}/{n}" for n in more}
        )
        frame = pd.concat([frame.drop(columns=name), more], axis=1)
    return sheet.with_frame(frame)


def _is_record(cell: Any) -> bool:
    return isinstance(cell, Mapping) or (isinstance(cell, str) and cell.startswith("{"))


def _record(cell: Any) -> Mapping[str, Any]:
    """A cell's record: JSON, or as Python prints it."""
    if isinstance(cell, Mapping):
        return cell
    if cell is None or cell == ABSENT:
        return {}
    try:
        found = json.loads(cell, parse_constant=str)
    except ValueError:
        found = ast.literal_eval(BARE.sub(r"'\1'", cell))
    if not isinstance(found, Mapping):
        raise ValueError("no record")
    return found
