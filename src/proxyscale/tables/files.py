"""Files that hold tables: CSV of any separator, TSV, JSON, xlsx, parquet, arrow, packed or not."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import zstandard

from proxyscale.base import seals
from proxyscale.base.errors import UserError
from proxyscale.tables.harness import evaluation_files, is_evaluation, read_evaluations
from proxyscale.tables.json_layouts import load, read_json_table
from proxyscale.tables.sheet import UNNAMED, Sheet, from_rows, unique

UNPACK: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda file: zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(
        file, read_across_frames=True
    ),
}
MOST = 1 << 31  # bytes of a table, unpacked
SEPARATORS = (",", ";", "\t", "|")
KINDS = {
    ".csv": "text",
    ".tsv": "text",
    ".txt": "text",
    ".dat": "text",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
BROKEN = (
    ValueError,
    OSError,
    EOFError,
    RecursionError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    pa.ArrowException,
    csv.Error,
)


def table_paths(path: str) -> list[str]:
    """The files of a path: itself, or a folder's evaluation files, else its tables."""
    if not os.path.isdir(path):
        return [path]
    inside = sorted(str(p) for p in Path(path).rglob("*") if p.is_file())
    found = evaluation_files(inside) or [p for p in inside if kind_of(p)[0] in KINDS]
    if not found:
        raise UserError("no table is in this folder", where=path, allowed=KINDS)
    return found


def kind_of(path: str) -> tuple[str, list[str]]:
    """The suffix that tells the kind, and those of its packing, outermost first; lower case."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = []
    while suffixes and suffixes[-1] in UNPACK:
        packed.append(suffixes.pop())
    return (suffixes[-1] if suffixes else ""), packed


def read_sheets(paths: Sequence[str], header: Sequence[str] | None = None) -> list[Sheet]:
    """The tables of these files. `header`: names of the columns, where the files have none.

    UserError for a file that is not what it is called, has no rows, or names a column twice.
    """
    sheets, evaluations = [], {}
    for file in (file for path in paths for file in table_paths(path)):
        if evaluation_files([file]):
            value = _value(file)
            if is_evaluation(file, value):
                evaluations[file] = value
                continue
        sheets.append(read_sheet(file, header))
    return sheets + ([read_evaluations(evaluations)] if evaluations else [])


def _value(path: str) -> Any:
    try:
        return load(unpacked(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"not a JSON table: {error}", where=path) from None


def unpacked(path: str) -> bytes:
    """A file's bytes, unpacked."""
    try:
        data = seals.trusted(path).read_bytes()
        for suffix in kind_of(path)[1]:
            with UNPACK[suffix](io.BytesIO(data)) as stream:
                data = _bounded(stream, path)
    except FileNotFoundError:
        raise UserError(f"no such file: {path}", where="runs.table") from None
    except BROKEN as error:
        raise UserError(f"cannot be unpacked: {error}", where=path) from None
    return data


def _bounded(stream: IO[bytes], path: str) -> bytes:
    """All of a stream, a piece at a time. UserError if it is too much."""
    found = bytearray()
    while piece := stream.read(1 << 20):
        found += piece
        _refuse_size(len(found), path)
    return bytes(found)


def _refuse_size(size: int, path: str) -> None:
    if size > MOST:
        hint = "a table of fewer columns, or several tables"
        raise UserError(f"is above {MOST >> 30} GiB, unpacked", where=path, hint=hint)


def read_sheet(path: str, header: Sequence[str] | None = None) -> Sheet:
    """The one table of a file. UserError as above."""
    suffix, _ = kind_of(path)
    if suffix not in KINDS:
        raise UserError("not a kind of table", where=path, value=suffix, allowed=KINDS)
    data = unpacked(path)
    try:
        sheet = READERS[KINDS[suffix]](path, data, header)
    except BROKEN as error:
        raise UserError(f"not a {suffix} table: {error}", where=path) from None
    if not len(sheet.frame):
        raise UserError("the table has no rows", where=path)
    return sheet


def _text(path: str, data: bytes, header: Sequence[str] | None) -> Sheet:
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = data.decode("utf-16" if wide else "utf-8-sig")
    separator = "\t" if kind_of(path)[0] == ".tsv" else _separator(text)
    # the strict dialect refuses a quote that never closes
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = list(_rows(lines, path))
    if header is None:
        _refuse_headless(rows, path)
    return from_rows(path, rows, header, comma=separator == ";")


def _rows(lines: Any, path: str) -> Iterator[list[str]]:
    """Rows that are not blank, all of one width."""
    width = None
    for row in lines:
        if not any(cell.strip() for cell in row):
            continue
        width = width or len(row)
        if len(row) != width:
            message = f"line {lines.line_num} has {len(row)} cells, the first line {width}"
            raise UserError(message, where=path)
        yield [cell.strip() for cell in row]


def _separator(text: str) -> str:
    """What parts the cells: it stands in the first line most often, and as often in the second."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in text.splitlines()[:200] if line.strip()][:2]
    if not lines:
        return ","
    alike = [s for s in SEPARATORS if lines[0].count(s) and len({li.count(s) for li in lines}) == 1]
    return max(alike or SEPARATORS, key=lines[0].count)


def _refuse_headless(rows: Sequence[Sequence[str]], path: str) -> None:
    """UserError if the first row is no heading: it holds a number where the second does, too."""
    if len(rows) < 2:
        return
    first, second = rows[0], rows[1]
    plain = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)(e[-+]?\d+)?%?", re.IGNORECASE)
    numbers = [bool(plain.fullmatch(c.replace(",", "."))) for c in first]
    exponents = [n and "e" in c.lower() for n, c in zip(numbers, first, strict=True)]
    sizes = sum(exponents) == sum(numbers) > 1  # a column for each compute: 1e18, 1e19
    below = [bool(plain.fullmatch(c.replace(",", "."))) for c in second]
    if not sizes and any(a and b for a, b in zip(numbers, below, strict=True)):
        raise UserError(
            f"the first row is no heading: {', '.join(first[:6])}",
            where=path,
            hint="name the columns in order: --header recipe,scale,seed,loss",
        )


def _json(path: str, data: bytes, header: Sequence[str] | None) -> Sheet:
    return read_json_table(path, data.decode("utf-8-sig"), header)


def _xlsx(path: str, data: bytes, header: Sequence[str] | None) -> Sheet:
    try:
        import openpyxl
    except ImportError:
        hint = "openpyxl reads it (the extra `tables`), or save the sheet as CSV"
        raise UserError("xlsx needs the package openpyxl", where=path, hint=hint) from None
    sheets = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_size(sum(part.file_size for part in archive.infolist()), path)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        for sheet in book.worksheets:
            cells = [[c.strip() if isinstance(c, str) else c for c in row] for row in sheet.values]
            if rows := [row for row in cells if any(c not in ("", None) for c in row)]:
                sheets[sheet.title] = rows
    except UserError:
        raise
    except Exception as error:  # of zip, of XML, and what openpyxl stumbles over
        raise UserError(f"not a .xlsx table: {error}", where=path) from None
    if len(sheets) != 1:
        message = f"{len(sheets)} sheets hold something: {', '.join(sheets)}"
        raise UserError(message, where=path, hint="save the one that is meant as a file of its own")
    (rows,) = sheets.values()
    width = max(map(len, rows))
    return from_rows(path, [[*row, *[None] * (width - len(row))] for row in rows], header)


def _parquet(path: str, data: bytes, header: Sequence[str] | None) -> Sheet:
    facts = pq.ParquetFile(pa.BufferReader(data)).metadata
    _refuse_size(8 * facts.num_rows * facts.num_columns, path)
    return _from_arrow(path, pq.read_table(pa.BufferReader(data)), header)


def _arrow(path: str, data: bytes, header: Sequence[str] | None) -> Sheet:
    source = pa.BufferReader(data)
    if data[:6] == b"ARROW1":
        return _from_arrow(path, pa.ipc.open_file(source).read_all(), header)
    return _from_arrow(path, pa.ipc.open_stream(source).read_all(), header)


def _from_arrow(path: str, table: pa.Table, header: Sequence[str] | None) -> Sheet:
    """The columns as they are: an index that pandas keeps in metadata is never applied."""
    if header is not None:
        raise UserError("the columns of this file have names", where=f"{path}: runs.header")
    table.validate(full=True)  # arrow would follow broken offsets wherever they point
    names = [UNNAMED if n.startswith("__index_level_") else n.strip() for n in table.column_names]
    index = [i for i, name in enumerate(table.column_names) if name.startswith("__index_level_")]
    if len(index) > 1 or (index and UNNAMED in table.column_names):
        table = table.drop_columns([table.column_names[i] for i in index])
        names = [name for i, name in enumerate(names) if i not in index]
    columns = {}
    for i, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if _number(column.type):
            columns[i] = pd.Series(np.asarray(column.to_pandas(ignore_metadata=True)))
        else:
            columns[i] = pd.Series(column.to_pylist(), dtype=object)
    frame = pd.DataFrame(columns)
    frame.columns = unique(names, path)
    return Sheet(path, frame)


def _number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


READERS = {"text": _text, "json": _json, "xlsx": _xlsx, "parquet": _parquet, "arrow": _arrow}
