"""Raw records of files, one at a time, in bounded memory.

A record that cannot be read comes out as `Dropped`, with its file and line: a corpus counts it, a
task refuses it.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from proxyscale.base.errors import UserError
from proxyscale.base.paths import expand

LINE_LIMIT = 1 << 28  # bytes of one line or cell; what is longer has lost its line ends or quotes
PIECE = 1 << 20  # bytes of a text file read as one record
COMPRESSED = {".zst": "zstd", ".gz": "gzip", ".bz2": "bz2"}


class Dropped(NamedTuple):
    """What could not be read: where it stands ("file:line") and why."""

    name: str
    reason: str


class Record(NamedTuple):
    """One record's fields, and where it stands ("file:line", the file below its common folder)."""

    name: str
    fields: dict[str, Any]


def listed(value: str | Sequence[str]) -> list[str]:
    """One word or several, as a list."""
    return [value] if isinstance(value, str) else list(value)


def shuffled(names: Iterable[str]) -> list[str]:
    """Names in an order that is random but the same on every machine."""

    def key(name: str) -> bytes:
        return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()

    return sorted(names, key=key)


def matching(pattern: str) -> list[Path]:
    """Files that a path or glob names now, `~` and variables filled in."""
    for plain in (Path(pattern), Path(expand(pattern))):
        if plain.is_file():
            return [plain]
    matches = map(Path, glob.glob(expand(pattern), recursive=True))
    return sorted(path for path in matches if path.is_file())


def files_below(folder: str) -> dict[str, Path]:
    """All files at any depth of a folder, by their name below it, shuffled; empty if it is none."""
    for plain in (Path(folder), Path(expand(folder))):
        if plain.is_dir():
            files = (path for path in plain.rglob("*") if path.is_file())
            names = {path.relative_to(plain).as_posix(): path.absolute() for path in files}
            return {name: names[name] for name in shuffled(names)}
    return {}


def no_match(pattern: str) -> UserError:
    """The mistake of a pattern that matches no file, to be raised."""
    expanded = expand(pattern)
    unset = re.search(r"\$\{?\w+\}?", expanded)
    hint = "check the path"
    if unset:
        hint = f"the variable {unset[0]} is not set"
    elif Path(expanded).is_dir():
        hint = "name its files: folder/**/*.txt"
    return UserError(f"no file matches {pattern}", where="files", value=pattern, hint=hint)


def find_files(patterns: str | Sequence[str]) -> dict[str, Path]:
    """Files that the globs match, by their name below the folder common to all.

    In shuffled order, so that a corpus cut short has something of each; `**` matches folders.
    UserError if a pattern matches no file.
    """
    found: set[Path] = set()
    for pattern in listed(patterns):
        files = {path.absolute() for path in matching(pattern)}
        if not files:
            raise no_match(pattern)
        found |= files
    common = os.path.commonpath([path.parent for path in found])
    names = {path.relative_to(common).as_posix(): path for path in found}
    return {name: names[name] for name in shuffled(names)}


def read_files(
    patterns: str | Sequence[str],
    format: str | None = None,
    column: str | None = None,
) -> Iterator[Record | Dropped]:
    """Records of txt, jsonl, csv and parquet files, by `format` or by their suffix.

    Files may be compressed (.zst, .gz, .bz2). With `column`, a parquet file's other columns are not
    read, and a file whose first record lacks it is refused by UserError.
    """
    for name, path in find_files(patterns).items():
        reader = FORMATS[format_of(path, format)]
        try:
            yield from having(column, reader(name, path, column))
        except (OSError, pa.ArrowException, csv.Error) as error:
            raise UserError(f"cannot be read: {error}", where=str(path)) from None


def having(column: str | None, records: Iterable[Record | Dropped]) -> Iterator[Record | Dropped]:
    """The records; UserError if the first has no such column."""
    first = True
    for record in records:
        if first and column and isinstance(record, Record):
            if column not in record.fields:
                raise _no_column(column, record.name, record.fields)
            first = False
        yield record


def _no_column(column: str, where: str, columns: Iterable[str]) -> UserError:
    message = f"has no column {column!r}"
    return UserError(message, where=where, value=column, allowed=columns)


def format_of(path: Path, told: str | None) -> str:
    """The format of a file, as told or by its suffix. UserError if it is not one of FORMATS."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSED]
    word = told or (suffixes[-1].removeprefix(".") if suffixes else "")
    if word not in FORMATS:
        message = f"{path.name}: unknown format {word!r}"
        hint = "name it: format: txt"
        raise UserError(message, where="files", value=word, allowed=FORMATS, hint=hint)
    return word


def _open(path: Path) -> io.BufferedReader:
    compression = COMPRESSED.get(path.suffix)
    return io.BufferedReader(pa.input_stream(str(path), compression=compression), 1 << 20)


def _read_txt(name: str, path: Path, column: str | None) -> Iterator[Record | Dropped]:
    """A file is one record, a large one several, cut at paragraphs where there are any."""
    number, rest, more = 0, b"", True
    with _open(path) as stream:
        while more:
            piece = rest + stream.read(PIECE + 1 - len(rest))
            more = len(piece) > PIECE
            cut = cut_at(piece, PIECE) if more else len(piece)
            number, rest = number + 1, piece[cut:]
            place = f"{name}:{number}" if more or number > 1 else name
            try:
                yield Record(place, {column or "text": piece[:cut].decode("utf-8-sig")})
            except UnicodeDecodeError:
                yield Dropped(place, "not UTF-8")


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


def _read_jsonl(name: str, path: Path, column: str | None) -> Iterator[Record | Dropped]:
    with _open(path) as stream:
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
                yield _parse_json(place, line)


def _parse_json(place: str, line: bytes) -> Record | Dropped:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return Dropped(place, "not UTF-8")
    except (ValueError, RecursionError):
        return Dropped(place, "not JSON")
    return Record(place, value) if isinstance(value, dict) else Dropped(place, "not a JSON object")


def _read_csv(name: str, path: Path, column: str | None) -> Iterator[Record | Dropped]:
    csv.field_size_limit(LINE_LIMIT)
    with _open(path) as stream:
        # Undecodable bytes become lone surrogates, so that one bad cell does not end the file.
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        rows = csv.DictReader(text)
        for row in rows:
            if None in row:
                yield Dropped(f"{name}:{rows.line_num}", "more cells than columns")
            else:
                yield Record(f"{name}:{rows.line_num}", row)


def _read_parquet(name: str, path: Path, column: str | None) -> Iterator[Record | Dropped]:
    with pq.ParquetFile(path, buffer_size=1 << 20) as file:
        columns = file.schema_arrow.names
        if column and column not in columns:
            raise _no_column(column, str(path), columns)
        number = 0
        for batch in file.iter_batches(64, columns=[column] if column else None):
            for row in batch.to_pylist():
                number += 1
                yield Record(f"{name}:{number}", row)


FORMATS: dict[str, Callable[[str, Path, str | None], Iterator[Record | Dropped]]] = {
    "txt": _read_txt,
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "parquet": _read_parquet,
}


def pinned(revision: str | None, repository: str, kind: str = "") -> str:
    """The revision, if it is a commit; UserError if it is absent, or a name that can move."""
    if not isinstance(revision, str) or not re.fullmatch(r"[0-9a-f]{40}", revision):
        message = f"{repository} needs a pinned revision: a commit of 40 hex digits"
        hint = f"copy it from https://huggingface.co/{kind}{repository}/commits/main"
        raise UserError(message, where="revision", value=revision, hint=hint)
    return revision
