"""Sources that lie in shards: what can be read side by side, and gone on with, one by one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from proxyscale.data.formats import Layout
from proxyscale.data.hub import HubPart, files_of
from proxyscale.data.judge import Document, Fitted
from proxyscale.data.raw_record import Dropped, Record, not_text
from proxyscale.data.records import found_files, read_file

LEAST = 256 << 20  # bytes of the files of a shard, if there are so many
MOST = 4096  # shards of a dataset on the hub, which knows no sizes

Named = TypeVar("Named", Document | Dropped, Fitted | Dropped)


class Shard(NamedTuple):
    """A part of a source. It can be sent to another process."""

    name: str  # of its first file
    stamp: str  # what it is made of: another one if that has changed
    records: Callable[[], Iterable[Record | Dropped]]
    column: str  # of the text

    def read(self) -> Iterator[Document | Dropped]:
        """Its documents, in order."""
        return documents(self.records(), self.column)


class Sharded:
    """The documents of a source's shards, one shard after another.

    With a `title` a document is called by it and by its place in the source.
    """

    def __init__(self, find: Callable[[], Sequence[Shard]], title: str = "") -> None:
        self._find, self._title = find, title

    @functools.cached_property
    def shards(self) -> Sequence[Shard]:
        """All of them, in order; looked for once."""
        return self._find()

    def __iter__(self) -> Iterator[Document | Dropped]:
        return self.named(item for shard in self.shards for item in shard.read())

    def named(self, items: Iterable[Named]) -> Iterator[Named]:
        """The items of all shards, in order, with the names that they have in the source."""
        if not self._title:
            yield from items
            return
        for number, item in enumerate(items):
            yield item._replace(name=f"{self._title}:{number}")


def documents(records: Iterable[Record | Dropped], column: str) -> Iterator[Document | Dropped]:
    """The text of records, which stands in a column."""
    for record in records:
        if isinstance(record, Dropped):
            yield record
        elif column not in record.fields:
            reason = f"has no column {column!r}"
            yield Dropped(record.name, reason, True, tuple(map(str, record.fields)))
        elif isinstance(text := record.fields[column], str):
            yield Document(record.name, text)
        else:
            yield Dropped(record.name, not_text(text), broken=True)


def file_shards(
    patterns: str | Sequence[str], format: str | None, column: str, **layout: Any
) -> list[Shard]:
    """The files that patterns name, in their order: one a shard, small ones together.

    `layout`: what else `formats.Layout` tells of them.
    """
    shards: list[Shard] = []
    group: list[tuple[str, Path]] = []
    stamps: list[tuple[object, ...]] = []
    size = 0
    files = found_files(patterns)
    for number, (name, (path, status)) in enumerate(files.items(), start=1):
        group.append((name, path))
        stamps.append((name, str(path), status.st_size, status.st_mtime_ns, status.st_ino))
        size += status.st_size
        if size >= LEAST or number == len(files):
            records = functools.partial(_read_group, group, format, Layout(column, **layout))
            shards.append(Shard(str(group[0][1]), repr(stamps), records, column))
            group, stamps, size = [], [], 0
    return shards


def _read_group(
    group: Iterable[tuple[str, Path]], format: str | None, layout: Layout
) -> Iterator[Record | Dropped]:
    for name, path in group:
        yield from read_file(name, path, format, layout)


def hub_shards(repository: str, rows: Any, column: str) -> list[Shard]:
    """The files of a dataset on the hub, in the order of its rows."""
    count = min(files_of(rows), MOST)
    parts = [HubPart(repository, rows, n, count) for n in range(count)]
    return [
        Shard(f"{repository}, file {n + 1} of {count}", f"{n} of {count}", part, column)
        for n, part in enumerate(parts)
    ]
