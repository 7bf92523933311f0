"""The artifacts, of schemas that are checked when written and when read, and their manifests.

Everything is written under a temporary name, sealed, brought to the disk and renamed, so that no
half-written file is ever taken for a whole one; a job's manifest is written last. What is read is
checked first (`base.seals`).
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from proxyscale.base import seals
from proxyscale.base.errors import UserError
from proxyscale.base.progress import aligned
from proxyscale.base.schemas import SCHEMAS as SCHEMAS
from proxyscale.base.seals import atomic as atomic


@contextlib.contextmanager
def parquet_writer(path: Path, schema: pa.Schema, **options: Any) -> Iterator[pq.ParquetWriter]:
    """A writer of a parquet file that leaves a place for its sum."""
    with pq.ParquetWriter(path, schema, compression="zstd", **options) as writer:
        yield writer
        writer.add_key_value_metadata({seals.KEY: seals.BLANK.decode()})


def conform(table: pa.Table, kind: str) -> pa.Table:
    """The table with the schema's columns, in order and cast; absent nullable ones are null."""
    schema = SCHEMAS[kind]
    extra = set(table.column_names) - set(schema.names)
    if extra:
        raise ValueError(f"a {kind} table has no column {sorted(extra)[0]!r}")
    columns = []
    for field in schema:
        if field.name in table.column_names:
            columns.append(table[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(len(table), field.type))
    return pa.table(columns, schema=schema)


def write(path: str | Path, table: pa.Table, kind: str) -> None:
    """Write a table of a known kind as parquet (zstd; floats split by byte)."""
    table = conform(table, kind)
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    others = [field.name for field in table.schema if field.name not in floats]
    options = {
        "use_dictionary": [name for name in others if name != "tokens"],
        "column_encoding": dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
    }
    with atomic(path) as temporary, parquet_writer(temporary, table.schema, **options) as writer:
        writer.write_table(table)


def read(path: str | Path, kind: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table of a known kind. UserError if it is missing, damaged or not of that kind."""
    wanted = list(columns) if columns else None
    # a reader of one file: that of many takes longer to import than most tables to read
    with pq.ParquetFile(seals.verified(path)) as file:
        _check(file.schema_arrow, path, kind, columns)
        numbers = range(file.num_row_groups)
        groups = [file.read_row_group(number, columns=wanted) for number in numbers]
        table = pa.concat_tables(groups) if groups else file.read(columns=wanted)
    return table.select(wanted or table.column_names).replace_schema_metadata(None)


def batches(path: str | Path, kind: str) -> pa.RecordBatchReader:
    """The same of all columns, a part at a time, words as dictionaries of them: much less memory,
    and soon read."""
    words = [field.name for field in SCHEMAS[kind] if field.type == pa.string()]
    file = pq.ParquetFile(seals.verified(path), read_dictionary=words)
    schema = file.schema_arrow.remove_metadata()
    _check(schema, path, kind)

    def each() -> Iterator[pa.RecordBatch]:
        with file:
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group).replace_schema_metadata(None).to_batches()

    return pa.RecordBatchReader.from_batches(schema, each())


def _check(
    schema: pa.Schema, path: str | Path, kind: str, columns: Sequence[str] | None = None
) -> None:
    """UserError if a column that a table of this kind has is missing or of another type."""
    for name in columns or SCHEMAS[kind].names:
        found = schema.field(name).type if name in schema.names else None
        if isinstance(found, pa.DictionaryType):
            found = found.value_type
        if found != SCHEMAS[kind].field(name).type:
            raise UserError(
                f"column {name!r} of a {kind} table is missing or mistyped", where=str(path)
            )


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same keys, a number to its last digit; NaN and None are empty cells."""

    def cell(value: Any) -> Any:
        if isinstance(value, float):
            return "" if value != value else repr(float(value))
        return "" if value is None else value

    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)


def read_csv(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a CSV file that `write_csv` wrote; empty cells are None. UserError if damaged."""
    options, found = pyarrow.csv.ConvertOptions(strings_can_be_null=True), list[dict[str, Any]]()
    found += pyarrow.csv.read_csv(seals.verified(path), convert_options=options).to_pylist()
    return found


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table for people: CSV, and beside it aligned text (.txt) with rounded numbers."""
    write_csv(path, rows)
    with atomic(path.with_suffix(".txt")) as temporary:
        temporary.write_text("\n".join(text(rows)) + "\n")


def text(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows as lines of an aligned table."""
    return aligned([list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if type(value) is int else str(value)


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Canonical JSON: sorted keys, two spaces, a final newline; with a sum of itself."""
    words = {**value, seals.KEY: seals.BLANK.decode()}
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(words, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """What `write_json` wrote. UserError if it is missing or damaged."""
    value = json.loads(seals.verified(path).read_text("utf-8"))
    del value[seals.KEY]
    return value


def foreign_json(path: str | Path) -> Any:
    """The value of a JSON file that anybody wrote. UserError if it is missing or broken."""
    try:
        value = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except OSError as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON: {error}", where=str(path)) from None
    if isinstance(value, dict) and value.pop(seals.KEY, None):
        seals.verified(path)
    return value


def write_manifest(path: str | Path, files: Sequence[str | Path], **facts: Any) -> None:
    """Write a job's manifest, last: sha256 of its files, named relative to it, and `facts`.

    Nothing in it may depend on when or how fast the job ran: what reads a manifest is stale only
    if its content changed.
    """
    folder = Path(path).parent
    digests = {os.path.relpath(file, folder): sha256(file) for file in files}
    write_json(path, {"files": digests, **facts})
