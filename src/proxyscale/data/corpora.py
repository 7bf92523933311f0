"""Corpora: documents out of installed packages, files or the Hugging Face hub, split by hash.

A corpus is a registered generator of documents; `build_corpus` cuts, splits and counts them and
drops the unusable and the duplicates, so that no corpus has to.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.hub import read_hub
from proxyscale.data.installed import read_installed
from proxyscale.data.record_counts import RecordCounts, content_key
from proxyscale.data.records import Dropped, Record, cut_at, listed, read_files
from proxyscale.registry import corpus

ROW_GROUP = 8 << 20  # bytes of text held in memory while documents are written


class Document(NamedTuple):
    """A text and the name it has within its corpus."""

    name: str
    text: str


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
    yield from _documents(read_installed(listed(installed), part, *options), "text")


@corpus
def files(
    *,
    files: str | Sequence[str],
    column: str = "text",
    format: str | None = None,
) -> Iterator[Document | Dropped]:
    """Text of txt, jsonl, csv and parquet files, also compressed, named by paths and globs.

    A txt file is one document (one a MiB when larger), elsewhere a record is; its text is in
    `column`. `format` is told by the suffix unless given.
    """
    yield from _documents(read_files(files, format, column), column)


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
) -> Iterator[Document | Dropped]:
    """Text of a dataset on the Hugging Face hub, at a pinned commit (40 hex digits).

    `data_dir` is the folder of the repository that is read, where it has no `config` for it.
    """
    records = read_hub(hub, revision, config, split, streaming, data_dir, column)
    yield from _documents(records, column)


def _documents(records: Iterable[Record | Dropped], column: str) -> Iterator[Document | Dropped]:
    for record in records:
        if isinstance(record, Dropped):
            yield record
        elif isinstance(text := record.fields.get(column), str):
            yield Document(record.name, text)
        else:
            yield Dropped(record.name, "no text")


def read_records(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Records for a task, out of `{files, format}` or `{hub, revision, config, split, streaming}`.

    At most `limit` of them. UserError naming file and record if one cannot be read.
    """
    options = dict(spec)
    limit = options.pop("limit", None)
    if "hub" in options:
        records = read_hub(options.pop("hub"), **options)
    else:
        records = read_files(options.pop("files"), **options)
    for record in itertools.islice(records, limit):
        if isinstance(record, Dropped):
            raise UserError(record.reason, where=record.name)
        for value in record.fields.values():
            if isinstance(value, str) and not _encodable(value):
                raise UserError("not UTF-8", where=record.name)
        yield record.fields


class _Kept(NamedTuple):
    name: str
    text: bytes
    key: int  # the text's hash
    split: str


class _Judge:
    """Cuts, splits and counts documents; drops the unusable and the duplicates."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.counts = RecordCounts(spec)
        self.cut = 0
        self.bytes = dict.fromkeys(self.counts.shares, 0)

    def kept(self, items: Iterable[Document | Dropped]) -> Iterator[_Kept]:
        """The documents to keep, until there are as many as asked for."""
        most, documents = self.spec.get("max_bytes"), self.spec.get("documents")
        for item in items:
            kept = self.judge(item)
            if kept is None:
                continue
            yield kept
            if most and sum(self.bytes.values()) >= most:
                return
            if documents and self.counts.total >= documents:
                return

    def judge(self, item: Document | Dropped) -> _Kept | None:
        """The document as it is kept; None if it is dropped. Counted either way."""
        reason = item.reason if isinstance(item, Dropped) else _unusable(item.text)
        if isinstance(item, Dropped) or reason:
            self.counts.drop(item.name, reason)
            return None
        text, cut = self._fit(item.text.encode())
        key = content_key(text)
        split = self.counts.keep(item.name, key)
        if split is None:
            return None
        self.cut += cut
        self.bytes[split] += len(text)
        return _Kept(item.name, text, key, split)

    def _fit(self, text: bytes) -> tuple[bytes, bool]:
        limit = self.spec.get("max_document_bytes")
        if not limit or len(text) <= limit:
            return text, False
        return text[: cut_at(text, limit)], True

    def check(self, source: str) -> None:
        """UserError if a split with a share stayed empty."""
        counts, where = self.counts, f"corpora: {source}"
        empty = [s for s, share in counts.shares.items() if share > 1e-9 and not counts.kept[s]]
        if not counts.total:
            message = f"no usable document: {counts.told() or 'none found'}"
            raise UserError(message, where=where, hint="check the corpus and its options")
        if empty:
            share = f"{counts.shares[empty[0]]:g}"
            message = (
                f"its {counts.total} documents leave the split {empty[0]} (share {share}) empty"
            )
            raise UserError(message, where=where, hint="give more documents, or change the shares")


def _unusable(text: str) -> str:
    """Why a text cannot be used; empty if it can."""
    if not text or text.isspace():
        return "empty"
    if "\0" in text:
        return "NUL byte"
    return "" if _encodable(text) else "not UTF-8"


def _encodable(text: str) -> bool:
    """Whether a text has no lone surrogates: of undecodable bytes, or escaped in JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def build_corpus(out: Path, source: str, spec: dict[str, Any]) -> None:
    """Write `out/documents.parquet` and `out/manifest.json`, in bounded memory.

    `spec`: `kind` and its `options`; `holdout` and `target`, shares of the documents; `max_bytes`
    and `documents`, where to stop; `max_document_bytes`, where to cut; `seed` of the split. A
    document's split hangs on its text alone, so that copies in two sources meet on one side. Exact
    duplicates are dropped (a hash is held for each document). UserError if a split with a share
    stays empty.
    """
    judge, path = _Judge(spec), out / "documents.parquet"
    schema = artifacts.SCHEMAS["documents"]
    with artifacts.atomic(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            start = 0
            for group in _groups(judge.kept(corpus[spec["kind"]](**spec["options"]))):
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


def _groups(kept: Iterable[_Kept]) -> Iterator[list[_Kept]]:
    group: list[_Kept] = []
    size = 0
    for document in kept:
        group.append(document)
        size += len(document.text)
        if size >= ROW_GROUP:
            yield group
            group, size = [], 0
    yield group


def _table(group: list[_Kept], start: int) -> pa.Table:
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
