"""Corpora: documents out of installed packages, files or the Hugging Face hub, split by hash.

A corpus is a registered generator of documents, or tells the shards that they lie in;
`build_corpus` cuts, splits and counts them and drops the unusable and the duplicates, so that no
corpus has to.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import platform
import shutil
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.data.hub import open_hub, read_hub, title
from proxyscale.data.installed import read_installed
from proxyscale.data.judge import Document, Fitted, Judge, Kept, fitted
from proxyscale.data.parts import Parts
from proxyscale.data.raw_record import Dropped, Record, encodable
from proxyscale.data.records import listed, read_files
from proxyscale.data.shards import Sharded, documents, file_shards, hub_shards
from proxyscale.registry import corpus

ROW_GROUP = 8 << 20  # bytes of text held in memory while documents are written
PARTS = ".parts"  # the folder of what is read of a corpus that is not written yet


@corpus
def installed(
    *,
    installed: str | Sequence[str],
    part: str,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    minimum_length: int = 200,
    strip_docstrings: bool = False,
) -> Iterator[Document | Dropped]:
    """Text of installed distributions, or of the standard library (`stdlib`).

    `part`: `code` (Python without tests) and `tests` give a document a file, `headers` too (C, C++
    and CUDA), `docstrings` one a docstring of at least `minimum_length` characters outside tests,
    named "file:object". `include` and `exclude` are globs on paths such as `torch/nn/init.py`, in
    which `*` matches slashes too. `strip_docstrings` cuts docstrings out of Python files. Files
    come in shuffled order, the same on every machine.
    """
    options = (listed(include), listed(exclude), minimum_length, strip_docstrings)
    yield from documents(read_installed(listed(installed), part, *options), "text")


@corpus
def files(
    *,
    files: str | Sequence[str],
    column: str = "text",
    format: str | None = None,
    columns: Sequence[str] | None = None,
    at: str | None = None,
    encoding: str | None = None,
) -> Sharded:
    """Text of txt, jsonl, json, csv, tsv, parquet and arrow files, named by paths and globs.

    They may be compressed (.gz, .zst, .bz2, .xz). A txt file is one document (one a MiB when
    larger), elsewhere a record is; its text is in `column`. `format` is told by the suffix unless
    given. `columns` names the columns of a csv or tsv file without a header; `at` is a path into
    JSON, such as `data.articles`; `encoding` is told where it is not UTF-8.
    """
    told = {"columns": columns, "at": at, "encoding": encoding}
    return Sharded(lambda: file_shards(files, format, column, **told))


@corpus
def hub(
    *,
    hub: str,
    revision: str,
    config: str | None = None,
    split: str = "train",
    column: str = "text",
    streaming: bool = True,
    data_dir: str | None = None,
    data_files: str | Sequence[str] | None = None,
) -> Sharded:
    """Text of a dataset on the Hugging Face hub, at a pinned commit (40 hex digits).

    `data_dir` is the folder of the repository that is read, where it has no `config` for it;
    `data_files` are the files, as paths and globs, where it has no split for them.
    """
    where = (hub, revision, config, split, streaming, data_dir, data_files)
    return Sharded(lambda: hub_shards(hub, open_hub(*where), column), title(hub))


def read_records(spec: dict[str, Any]) -> Iterator[Record | Dropped]:
    """Records for a task, out of `{files, format, columns, at, encoding}` or `{hub, revision,
    config, split, streaming}`; at most `limit` of them."""
    options = dict(spec)
    limit = options.pop("limit", None)
    records: Iterator[Record | Dropped]
    if "hub" in options:
        records = read_hub(options.pop("hub"), **options)
    else:
        records = read_files(options.pop("files"), **options)
    for record in itertools.islice(records, limit):
        if isinstance(record, Record) and not encodable(record.fields):
            yield Dropped(record.name, "not UTF-8", broken=True)
        else:
            yield record


def build_corpus(out: Path, source: str, spec: dict[str, Any], processes: int = 1) -> None:
    """Write `out/documents.parquet` and `out/manifest.json`, in bounded memory.

    `spec`: `kind` and its `options`; `holdout` and `target`, shares of the documents; `max_bytes`
    and `documents`, where to stop; `max_document_bytes`, where to cut; `seed` of the split. A
    document's split hangs on its text alone, so that copies in two sources meet on one side. Exact
    duplicates are dropped (a hash is held for each document). UserError if a split with a share
    stays empty.

    What lies in several shards is read by so many `processes`, and what is read of whole shards
    stays in `out`/PARTS until the corpus is written, for a call that goes on where one was killed.
    Every byte is the same for any number of both.
    """
    judge, path, parts = Judge(spec), out / "documents.parquet", out / PARTS
    schema = artifacts.SCHEMAS["documents"]
    with (
        contextlib.closing(_fitted(parts, spec, processes)) as items,
        artifacts.atomic(path) as temporary,
    ):
        with artifacts.parquet_writer(temporary, schema) as writer:
            start = 0
            for group in _groups(judge.kept(items)):
                writer.write_table(_table(group, start))
                start += len(group)
        judge.check(source)
    artifacts.write_manifest(
        out / "manifest.json",
        [path],
        source=source,
        kind=spec["kind"],
        cut=judge.cut,
        documents=judge.counts.kept,
        bytes=judge.bytes,
        versions=_versions(spec["options"]),
        **judge.counts.facts(),
    )
    shutil.rmtree(parts, ignore_errors=True)


def _fitted(
    parts: Path, spec: dict[str, Any], processes: int
) -> Generator[Fitted | Dropped, None, None]:
    """A source's documents in order, as they are by themselves."""
    found = corpus[spec["kind"]](**spec["options"])
    if not isinstance(found, Sharded) or len(found.shards) < 2:
        yield from fitted(found, spec.get("max_document_bytes"))
        return
    with contextlib.closing(Parts(parts, found.shards, spec).items(processes)) as items:
        yield from found.named(items)


def _groups(kept: Iterable[Kept]) -> Iterator[list[Kept]]:
    group: list[Kept] = []
    size = 0
    for document in kept:
        group.append(document)
        size += len(document.text)
        if size >= ROW_GROUP:
            yield group
            group, size = [], 0
    yield group


def _table(group: list[Kept], start: int) -> pa.Table:
    names, texts, keys, splits = zip(*group, strict=True) if group else ([], [], [], [])
    columns = {
        "document": range(start, start + len(group)),
        "name": names,
        "text": pa.array(texts, pa.binary()).cast(pa.string()),
        "hash": pa.array(keys, pa.uint64()),
        "split": splits,
    }
    return artifacts.conform(pa.table(columns), "documents")


def _versions(options: dict[str, Any]) -> dict[str, str]:
    packages = listed(options.get("installed", ()))
    python = platform.python_version()
    return {p: python if p == "stdlib" else importlib.metadata.version(p) for p in packages}
