"""Formats of files with records: text, JSON, tables. One function each, from a file to records."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from proxyscale.base.errors import UserError
from proxyscale.data.opening import is_compressed, open_bytes
from proxyscale.data.raw_record import Dropped, Record

LINE_LIMIT = 1 << 28  # bytes of one line, cell or JSON file; longer ones have lost their ends
PIECE = 1 << 20  # bytes of a text file read as one record


class Layout(NamedTuple):
    """What a file does not tell of itself: the column wanted, the columns' names where there is no
    header, the path into its JSON, its encoding."""

    column: str | None = None
    columns: Sequence[str] | None = None
    at: str | None = None
    encoding: str | None = None


Records = Iterator[Record | Dropped]


def cut_at(data: bytes, limit: int) -> int:
    """Where to cut text to at most `limit` bytes: after a paragraph, a line, a word, a character.

    The first three only in the second half, so that little is lost. `data` is longer than `limit`.
    """
    for mark in (b"\n\n", b"\n", b" "):
        cut = data.rfind(mark, limit // 2, limit)
        if cut >= 0:
            return cut + len(mark)
    starts = (cut for cut in range(limit, max(limit - 4, 0), -1) if data[cut] & 0xC0 != 0x80)
    return next(starts, limit)


def _read_txt(name: str, path: Path, layout: Layout) -> Records:
    """A file is one record, a large one several, cut at paragraphs where there are any."""
    number, rest, more = 0, b"", True
    with open_bytes(path, layout.encoding) as stream:
        while more:
            piece = rest + stream.read(PIECE + 1 - len(rest))
            more = len(piece) > PIECE
            cut = cut_at(piece, PIECE) if more else len(piece)
            number, rest = number + 1, piece[cut:]
            place = f"{name}:{number}" if more or number > 1 else name
            try:
                yield Record(place, {layout.column or "text": piece[:cut].decode("utf-8-sig")})
            except UnicodeDecodeError:
                yield Dropped(place, "not UTF-8", broken=True)


def _lines(stream: IO[bytes], name: str) -> Iterator[tuple[str, bytes]]:
    """The lines that are not blank, and where they stand. UserError for one beyond all bounds."""
    number = 0
    while line := stream.readline(LINE_LIMIT):
        number += 1
        place = f"{name}:{number}"
        if len(line) >= LINE_LIMIT:
            hint = "records are separated by line ends"
            raise UserError(f"a line above {LINE_LIMIT >> 20} MiB", where=place, hint=hint)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield place, line


def _parsed(place: str, data: bytes) -> Any:
    """A JSON value; `Dropped` if it is none."""
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError:
        return Dropped(place, "not UTF-8", broken=True)
    except (ValueError, RecursionError):
        return Dropped(place, "not JSON", broken=True)


def _read_jsonl(name: str, path: Path, layout: Layout) -> Records:
    with open_bytes(path, layout.encoding) as stream:
        for place, line in _lines(stream, name):
            value = _parsed(place, line)
            if isinstance(value, Dropped):
                yield value
            elif layout.at:
                yield from _unfold(value, _keys(layout.at), {}, f"{place}: ")
            else:
                yield _record(place, value)


def _read_json(name: str, path: Path, layout: Layout) -> Records:
    """A JSON file: an array of objects, an object of them, or what a path into it says."""
    with open_bytes(path, layout.encoding) as stream:
        data = stream.read(LINE_LIMIT).removeprefix(b"\xef\xbb\xbf")
    if len(data) >= LINE_LIMIT:
        message = f"a JSON file above {LINE_LIMIT >> 20} MiB"
        raise UserError(message, where=str(path), hint="write one record a line: .jsonl")
    value = _parsed(name, data)
    if isinstance(value, Dropped):
        hint = "one record a line? then format: jsonl"
        raise UserError(value.reason, where=str(path), hint=hint)
    if not layout.at:
        yield from _unfold(*_rows(value), {}, f"{name}: ")
        return
    first = _keys(layout.at)[0]
    if isinstance(value, dict) and first not in value:
        message = f"has no key {first!r}"
        raise UserError(message, where=f"{path}: at", value=first, allowed=value)
    yield from _unfold(value, _keys(layout.at), {}, f"{name}: ")


def _keys(at: str) -> list[str]:
    """`data.paragraphs.qas`, or with brackets: `data[].paragraphs[].qas[]`."""
    keys = [key for key in re.split(r"[.\[\]/]+", at) if key not in ("", "*", "$")]
    if not keys:
        raise UserError(f"{at!r} names no key", where="at", hint="at: data.paragraphs.qas")
    return keys


def _rows(value: Any) -> tuple[Any, list[str]]:
    """Where the records of a JSON file are, if nobody says: a value, and the keys into it."""
    if not isinstance(value, dict) or not value:
        return value, []
    if all(isinstance(one, dict) for one in value.values()):
        return list(value.values()), []
    lists = {key: one for key, one in value.items() if isinstance(one, list) and one}
    held = [key for key, one in lists.items() if all(isinstance(row, dict) for row in one)]
    alike = len(lists) == len(value) and len({len(one) for one in lists.values()}) == 1
    if alike and not held:  # a list for each column
        rows = zip(*lists.values(), strict=True)
        return [dict(zip(lists, row, strict=True)) for row in rows], []
    return (value, held) if len(held) == 1 else (value, [])


def _unfold(value: Any, keys: Sequence[str], shared: Mapping[str, Any], place: str) -> Records:
    """The records at `keys`, through every list on the way; each with the plain fields above it."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _unfold(one, keys, shared, f"{place}[{number}]")
    elif not keys:
        yield _record(place, {**shared, **value} if isinstance(value, dict) else value)
    elif isinstance(value, dict) and keys[0] in value:
        plain = {key: one for key, one in value.items() if not isinstance(one, dict | list)}
        below = f"{place}.{keys[0]}" if not place.endswith(": ") else f"{place}{keys[0]}"
        yield from _unfold(value[keys[0]], keys[1:], {**shared, **plain}, below)
    else:
        there = tuple(value) if isinstance(value, dict) else ()
        yield Dropped(place, f"has no key {keys[0]!r}", True, there)


def _record(place: str, value: Any) -> Record | Dropped:
    place = place.removesuffix(": ")
    if isinstance(value, dict):
        return Record(place, value)
    return Dropped(place, "not a JSON object", broken=True)


def _read_csv(name: str, path: Path, layout: Layout) -> Records:
    csv.field_size_limit(LINE_LIMIT)
    with open_bytes(path, layout.encoding) as stream:
        # Undecodable bytes become lone surrogates, so that one bad cell does not end the file.
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        rows = csv.reader(_bounded(text), strict=True)
        yield from _table(name, _numbered(rows, path), layout)


def _bounded(text: IO[str]) -> Iterator[str]:
    """The lines of a text. csv.Error for one beyond all bounds, before it fills the memory."""
    while line := text.readline(LINE_LIMIT):
        if len(line) >= LINE_LIMIT:
            raise csv.Error(f"a line above {LINE_LIMIT >> 20} MiB")
        yield line


def _numbered(rows: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV file and the lines they end in. UserError with the line a broken one begins."""
    last = 0
    try:
        for row in rows:
            last = rows.line_num
            yield last, row
    except csv.Error as error:
        unclosed = "end of data" in str(error)
        message = "a quote that is opened here is never closed" if unclosed else str(error)
        hint = 'a quote within quotes is written twice: "" ; tabs between cells are format: tsv'
        raise UserError(message, where=f"{path}:{last + 1}", hint=hint) from None


def _read_tsv(name: str, path: Path, layout: Layout) -> Records:
    """Cells between tabs, a record a line; quotes around a whole cell are taken off."""

    def rows() -> Iterator[tuple[int, list[str]]]:
        with open_bytes(path, layout.encoding) as stream:
            for place, line in _lines(stream, name):
                cells = line.decode("utf-8", "surrogateescape").rstrip("\r\n").split("\t")
                yield int(place.rpartition(":")[2]), [_unquoted(cell) for cell in cells]

    return _table(name, rows(), layout)


def _unquoted(cell: str) -> str:
    inner = cell[1:-1].replace('""', "")
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner:
        return cell[1:-1].replace('""', '"')
    return cell


def _table(name: str, rows: Iterable[tuple[int, list[str]]], layout: Layout) -> Records:
    """Records of rows of cells, by the names in the first row or by those that are told."""
    header = list(layout.columns) if layout.columns else None
    for line, row in rows:
        if not row:
            continue
        if header is None:
            header = row
            if twice := sorted({cell for cell in row if row.count(cell) > 1}):
                message = f"two columns are named {twice[0]!r}"
                hint = "without a header, name the columns: columns: [text, …]"
                raise UserError(message, where=f"{name}:{line}", hint=hint)
        elif len(row) > len(header):
            yield Dropped(f"{name}:{line}", "more cells than columns", broken=True)
        else:
            cells = [*row, *[None] * (len(header) - len(row))]
            yield Record(f"{name}:{line}", dict(zip(header, cells, strict=True)))


def _read_parquet(name: str, path: Path, layout: Layout) -> Records:
    with pq.ParquetFile(path, buffer_size=1 << 20) as file:
        columns = [layout.column] if layout.column else None
        if layout.column and layout.column not in file.schema_arrow.names:
            yield from _lacking(name, file.metadata.num_rows, layout, file.schema_arrow.names)
        else:
            yield from _rows_of(name, file.iter_batches(64, columns=columns))


def _read_arrow(name: str, path: Path, layout: Layout) -> Records:
    """Arrow's own format, as a file or as a stream (what `datasets` keeps in its cache)."""
    with _arrow_source(path) as source:
        try:
            reader = pa.ipc.open_file(source)
            batches = map(reader.get_batch, range(reader.num_record_batches))
        except pa.ArrowInvalid:
            source.seek(0)
            reader = pa.ipc.open_stream(source)
            batches = iter(reader)
        if layout.column and layout.column not in reader.schema.names:
            yield from _lacking(name, sum(map(len, batches)), layout, reader.schema.names)
        elif layout.column:
            yield from _rows_of(name, (batch.select([layout.column]) for batch in batches))
        else:
            yield from _rows_of(name, batches)


def _arrow_source(path: Path) -> Any:
    if not is_compressed(path):
        return pa.memory_map(str(path))
    with open_bytes(path) as stream:
        return pa.BufferReader(stream.read())


def _lacking(name: str, rows: int, layout: Layout, names: Sequence[str]) -> Iterator[Dropped]:
    """The rows of a table that does not have the column wanted."""
    for number in range(1, rows + 1):
        reason = f"has no column {layout.column!r}"
        yield Dropped(f"{name}:{number}", reason, True, tuple(names))


def _rows_of(name: str, batches: Iterable[Any]) -> Records:
    number = 0
    for batch in batches:
        batch.validate(full=True)  # arrow would follow broken offsets wherever they point
        for start in range(0, len(batch), 64):
            for row in batch.slice(start, 64).to_pylist():
                number += 1
                yield Record(f"{name}:{number}", row)


FORMATS: dict[str, Callable[[str, Path, Layout], Records]] = {
    "txt": _read_txt,
    "jsonl": _read_jsonl,
    "json": _read_json,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "parquet": _read_parquet,
    "arrow": _read_arrow,
}
