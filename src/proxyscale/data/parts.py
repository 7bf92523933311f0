"""Documents of shards, read by several processes and gone on with after a kill.

Each shard's documents, cut and hashed, lie in a file of their own until all are written; what is
decided about a source as a whole is decided in order by who reads these files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Generator, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from proxyscale.base import artifacts, seals
from proxyscale.base.digest import code_digest
from proxyscale.base.errors import UserError
from proxyscale.base.lock import end_with_parent
from proxyscale.data.judge import Fitted, fitted
from proxyscale.data.raw_record import Dropped
from proxyscale.data.shards import Shard

GROUP = 8 << 20  # bytes held in memory while a part is written
ROW = 100  # bytes of what is not text of a row in memory, about
OFTEN = 1000  # documents between two looks at the processes
SPAWN = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("text", pa.binary()),
        ("key", pa.uint64()),
        ("cut", pa.bool_()),
        ("dropped", pa.string()),  # JSON of reason, broken and keys; null for a document
    ]
)
PLAIN = {"use_dictionary": False, "write_statistics": False}  # texts are long, and all different

Items = Generator[Fitted | Dropped, None, None]


class Parts:
    """The files of a source's shards in `folder`; `spec` as `build_corpus` has it.

    Files of other shards, of another spec or of other code are removed.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard], spec: dict[str, Any]) -> None:
        self.shards, self.limit = shards, spec.get("max_document_bytes")
        own = [code_digest("data.corpora"), spec["kind"], spec["options"], self.limit]
        key = json.dumps(own, sort_keys=True, default=str)
        stamps = [f"{key} {shard.stamp}" for shard in shards]
        digests = [hashlib.sha256(os.fsencode(stamp)).hexdigest() for stamp in stamps]
        self.paths = [folder / f"{digest}.parquet" for digest in digests]
        for path in set(folder.iterdir() if folder.is_dir() else ()).difference(self.paths):
            path.unlink()

    def items(self, processes: int) -> Items:
        """What all shards hold, in order.

        A shard that has no part is read here, so that what ended its process is told as it stands
        among the documents.
        """
        with contextlib.closing(_Writers(self, processes if processes > 1 else 0)) as writers:
            for number, (shard, path) in enumerate(zip(self.shards, self.paths, strict=True)):
                writers.wait_for(number)
                there = seals.intact(path)
                items = _read(path) if there else written(path, shard, self.limit)
                for count, item in enumerate(items):
                    if count % OFTEN == 0:
                        writers.go_on(number)
                    yield item


class _Writers:
    """So many processes at most that write missing parts, in order.

    They are never further ahead than they are many: so much is read too much at most where a source
    is cut short, and while the part before them is gone through, one core fewer reads.
    """

    def __init__(self, parts: Parts, processes: int) -> None:
        self.parts, self.processes = parts, processes
        self.waiting = deque(n for n, path in enumerate(parts.paths) if not path.exists())
        self.running: dict[int, SpawnProcess] = {}

    def wait_for(self, number: int) -> None:
        """Wait until the process of a part, if it has one, has ended."""
        self.go_on(number)
        while number in self.running:
            wait([process.sentinel for process in self.running.values()])
            self.go_on(number)

    def go_on(self, wanted: int) -> None:
        """Start those processes that may run."""
        for number, process in list(self.running.items()):
            if process.exitcode is not None:
                del self.running[number]
        while (
            self.waiting
            and len(self.running) < self.processes
            and self.waiting[0] < wanted + self.processes
        ):
            number = self.waiting.popleft()
            told = self.parts.paths[number], self.parts.shards[number], self.parts.limit
            process = SPAWN.Process(target=_write, args=(*told, os.getpid()), daemon=True)
            process.start()
            self.running[number] = process

    def close(self) -> None:
        """End all processes, whatever they are at."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.join()


def _write(path: Path, shard: Shard, limit: int | None, parent: int) -> None:
    """A process that writes a part, on one core."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    pa.set_cpu_count(1)
    try:
        for _ in written(path, shard, limit):
            pass
    except UserError:
        sys.exit(1)  # told by who reads the shard once more


def written(path: Path, shard: Shard, limit: int | None) -> Items:
    """The documents of a shard, cut to at most `limit` bytes; they are written while they pass."""
    with (
        artifacts.atomic(path) as temporary,
        artifacts.parquet_writer(temporary, SCHEMA, **PLAIN) as writer,
    ):
        group: list[Fitted | Dropped] = []
        size = 0
        for item in fitted(shard.read(), limit):
            yield item
            group.append(item)
            size += ROW + (len(item.text) if isinstance(item, Fitted) else 0)
            if size >= GROUP:
                writer.write_table(_table(group))
                group, size = [], 0
        writer.write_table(_table(group))


def _table(group: Sequence[Fitted | Dropped]) -> pa.Table:
    rows = [
        (item.name, None, None, None, json.dumps(item[1:]))
        if isinstance(item, Dropped)
        else (*item, None)
        for item in group
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    arrays = [pa.array(one, kind.type) for one, kind in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def _read(path: Path) -> Items:
    """The documents of a part."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            columns = file.read_row_group(group).to_pydict().values()
            for name, text, key, cut, dropped in zip(*columns, strict=True):
                if dropped is None:
                    yield Fitted(name, text, key, cut)
                else:
                    reason, broken, keys = json.loads(dropped)
                    yield Dropped(name, reason, broken, tuple(keys))
