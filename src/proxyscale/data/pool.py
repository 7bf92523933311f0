"""The pool: documents tokenized and packed into rows of one length, an example each.

A pack is one source's rows; the pool is a manifest that puts packs side by side. An example's id is
its row for life: the offset of its source plus its row in the pack.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from proxyscale.base import arrays, artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.documents import read_documents
from proxyscale.data.packing import END, Rows
from proxyscale.data.tokens import CHUNK, load_tokenizer, pieces, unknown_id
from proxyscale.data.words import SEPARATOR, words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH = 32  # documents tokenized at a time
WORD = np.dtype("<u4")  # of `words.npy`


def pack(out: Path, corpus: Path, tokenizer: Path, spec: dict[str, Any]) -> None:
    """Write a source's rows, `inputs.npy` [n, length] and `index.parquet`, and their manifest.

    `spec`: `source`, `length`, `shards` (default 1) and which of them (`shard`). The documents of
    split `pool` follow each other, each closed by end-of-text, cut every `length` tokens; the last,
    partial row and rows seen before are dropped. `words.npy` holds a hash (u32) of every word of
    these documents, each closed by a separator: what test sets are searched in. Memory: a group of
    documents (8 MiB of text, or the largest), its tokens, and about 120 bytes a row for the hashes
    of rows and their index. UserError if there is not one row.
    """
    encoder, length = load_tokenizer(tokenizer), spec["length"]
    stream = _Stream(encoder)
    writer = Rows(length, np.dtype(np.uint16 if stream.vocabulary < 65_536 else np.uint32))
    documents = read_documents(corpus, "pool", spec.get("shard", 0), spec.get("shards", 1))
    with (
        artifacts.atomic(out / "inputs.npy") as temporary,
        artifacts.atomic(out / "words.npy") as said,
        open(said, "wb") as file,
    ):
        arrays.write_header(file, WORD, (0,))
        start = file.tell()
        left = writer.write(temporary, stream.tokens(_noted(documents, file), writer.dtype))
        arrays.write_header(file, WORD, ((file.seek(0, 2) - start) // WORD.itemsize,))
        if not writer.count:
            message = f"its pool has {left} tokens: not one row of {length}"
            hint = "give more documents, fewer shards, or a shorter context"
            raise UserError(message, where=f"corpora: {spec['source']}", hint=hint)
    artifacts.write(out / "index.parquet", writer.index(spec["source"]), "index")
    account = artifacts.read_json(corpus / "manifest.json")
    artifacts.write_manifest(
        out / "manifest.json",
        [out / "inputs.npy", out / "index.parquet", out / "words.npy"],
        source=spec["source"],
        length=length,
        vocabulary=stream.vocabulary,
        tokenizer=artifacts.sha256(tokenizer),
        rows=writer.count,
        tokens=stream.count,
        unknown=stream.unknown,
        account={key: account.get(key) for key in ("read", "dropped", "dropped_first")},
        dropped={"duplicate rows": writer.duplicates, "tokens of a partial row": left},
    )


def _noted(documents: Iterable[tuple[int, str]], file: BinaryIO) -> Iterator[tuple[int, str]]:
    """The documents, whose words are written to a file as they pass."""
    for number, text in documents:
        file.write(np.append(words(text), SEPARATOR).astype(WORD).tobytes())
        yield number, text


class _Stream:
    """Documents to tokens; counts them and those that stand for unknown text."""

    def __init__(self, encoder: Tokenizer) -> None:
        self.encoder = encoder
        self.vocabulary = 1 + max(encoder.get_vocab().values())
        self.end = int(encoder.token_to_id(END) or 0)
        self.without = unknown_id(encoder)
        self.count = self.unknown = 0

    def tokens(
        self, documents: Iterable[tuple[int, str]], dtype: np.dtype[Any]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Tokens of a document, or of a piece of a long one; the last piece closed by END."""
        for number, ids in self._ids(documents):
            self.count += len(ids)
            self.unknown += ids.count(self.without) if self.without is not None else 0
            if max(ids, default=0) >= self.vocabulary:
                raise UserError(f"a token beyond the vocabulary of {self.vocabulary}")
            yield number, np.array(ids, dtype)

    def _ids(self, documents: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[int]]]:
        held: list[tuple[int, str]] = []
        for number, text in documents:
            if len(text) <= CHUNK:
                held.append((number, text))
            if len(held) == BATCH or len(text) > CHUNK:
                yield from self._short(held)
                held = []
            if len(text) > CHUNK:
                for piece in pieces(self.encoder, text):
                    yield number, piece.ids
                yield number, [self.end]
        yield from self._short(held)

    def _short(self, held: list[tuple[int, str]]) -> Iterator[tuple[int, list[int]]]:
        texts = [text for _, text in held]
        found = self.encoder.encode_batch_fast(texts, add_special_tokens=False)
        for (number, _), encoding in zip(held, found, strict=True):
            yield number, [*encoding.ids, self.end]


def assemble(out: Path, packs: dict[str, Path]) -> None:
    """Write the pool's manifest: its sources in order, with offsets, counts and digests.

    A source's shards are packs named `source@0`, `source@1`, …, one after the other; a pack named
    `source` is its only one. UserError if the packs differ in length or tokenizer.
    """
    sources: dict[str, dict[str, Any]] = {}
    offset = 0
    shared: dict[str, Any] = {}
    for name, folder in packs.items():
        facts = artifacts.read_json(folder / "manifest.json")
        own = {key: facts[key] for key in ("length", "vocabulary", "tokenizer")}
        shared = shared or own
        if own != shared:
            message = "was packed with another length or tokenizer than the sources before it"
            raise UserError(message, where=str(folder), hint="pack it again")
        source = name.partition("@")[0]
        blank = {"name": source, "offset": offset, "rows": 0, "shards": [], "dropped": {}}
        blank |= {"tokens": 0, "unknown": 0, "account": facts.get("account")}
        entry = sources.setdefault(source, blank)
        place = Path(os.path.relpath(folder, out.parent)).as_posix()
        entry["shards"].append({"folder": place, "rows": facts["rows"], "files": facts["files"]})
        for key in ("rows", "tokens", "unknown"):
            entry[key] += facts.get(key, 0)
        for reason, count in facts["dropped"].items():
            entry["dropped"][reason] = entry["dropped"].get(reason, 0) + count
        offset += facts["rows"]
    artifacts.write_json(out, {**shared, "rows": offset, "sources": list(sources.values())})


class Pool:
    """The candidate examples, memory-mapped: rows of `length` tokens of every source."""

    def __init__(
        self,
        facts: dict[str, Any],
        shards: list[np.ndarray],
    ) -> None:
        """`shards` are the packs' rows, source after source, as `facts` lists them."""
        self.length: int = facts["length"]
        self.vocabulary: int = facts["vocabulary"]
        self.sources: list[str] = [source["name"] for source in facts["sources"]]
        self.counts: dict[str, int] = {s["name"]: s["rows"] for s in facts["sources"]}
        self._shards = shards
        self._offsets = np.cumsum([0, *map(len, shards)])
        self._begins = np.array([source["offset"] for source in facts["sources"]])

    @classmethod
    def open(cls, manifest: Path) -> Pool:
        """Map the shards that a pool's manifest names."""
        facts = artifacts.read_json(manifest)
        folders = [
            Path(manifest).parent / shard["folder"]
            for source in facts["sources"]
            for shard in source["shards"]
        ]
        return cls(facts, [arrays.read(folder / "inputs.npy", "r") for folder in folders])

    def __len__(self) -> int:
        return int(self._offsets[-1])

    def source_of(self, ids: np.ndarray) -> np.ndarray:
        """Index into `sources` of each example: [k] -> [k]. IndexError if one is out of range."""
        return np.searchsorted(self._begins, self._checked(ids), side="right") - 1

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        ids = np.asarray(ids)
        if ids.size and (ids.min() < 0 or ids.max() >= len(self)):
            raise IndexError(f"the pool has examples 0 to {len(self) - 1}")
        return ids

    def ids_of(self, source: str) -> range:
        """The examples of a source. UserError if there is none of that name."""
        if source not in self.sources:
            message = f"the pool has no source {source!r}"
            raise UserError(message, value=source, allowed=self.sources)
        start = self._begins[self.sources.index(source)]
        return range(int(start), int(start) + self.counts[source])

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Tokens of examples, in the order given: [k] -> [k, length], u16 or u32."""
        ids = self._checked(np.asarray(ids, np.int64))
        shards = np.searchsorted(self._offsets, ids, side="right") - 1
        rows = np.empty((len(ids), self.length), self._shards[0].dtype)
        for shard in np.unique(shards):
            here = shards == shard
            rows[here] = self._shards[shard][ids[here] - self._offsets[shard]]
        return rows
