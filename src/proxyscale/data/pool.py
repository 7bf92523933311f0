"""The pool: documents tokenized and packed into rows of one length, an example each.

A pack is one source's rows; the pool is a manifest that puts packs side by side. An example's id is
its row for life: the offset of its source plus its row in the pack.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from proxyscale.base import arrays, artifacts, seals
from proxyscale.base.errors import UserError
from proxyscale.base.paths import expand
from proxyscale.data.packing import END, Rows, window_hashes
from proxyscale.data.records import pinned

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread a process: Snakemake counts cores

CHUNK = 1 << 16  # characters tokenized as one
BATCH = 32  # such pieces tokenized at a time
WINDOW_ROWS = 4096  # rows hashed at a time


def build_tokenizer(out: Path, corpora: dict[str, Path], spec: dict[str, Any]) -> None:
    """Write a tokenizer.json: trained on the pool's documents, a local one or the hub's.

    `spec`: `{train: bpe, vocabulary, sample_bytes}`, `{file}` or `{hub, revision}`; with the latter
    two `pad_vocabulary_to` rounds the vocabulary up to a size of one's own.
    """
    if "train" in spec:
        tokenizer = _train(corpora, spec["vocabulary"], spec.get("sample_bytes", 10_000_000))
        size = spec["vocabulary"]
    else:
        hub = "hub" in spec
        path = _download(spec["hub"], spec.get("revision")) if hub else expand(spec["file"])
        tokenizer = _parse(artifacts.foreign_json(path), path)
        size = spec.get("pad_vocabulary_to") or 0
    if tokenizer.token_to_id(END) is None:
        tokenizer.add_special_tokens([END])
    _pad(tokenizer, size)
    artifacts.write_json(out, json.loads(tokenizer.to_str()))


def _train(corpora: dict[str, Path], vocabulary: int, sample_bytes: int) -> Tokenizer:
    """Byte-level BPE (Radford et al. 2019, section 2.2) on equal parts of every source."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocabulary <= len(alphabet):
        message = f"a byte-level vocabulary needs more than {len(alphabet)} entries"
        raise UserError(message, where="tokenizer.vocabulary", value=vocabulary)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    share = sample_bytes // len(corpora)
    texts = (text for corpus in corpora.values() for text in _sample(corpus, share))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _sample(corpus: Path, size: int) -> Iterator[str]:
    for _, text in read_documents(corpus, "pool"):
        yield from chunks(text)
        size -= len(text.encode())
        if size <= 0:
            return


def _download(repository: str, revision: str | None) -> str:
    commit = pinned(revision, repository)
    from huggingface_hub import hf_hub_download

    try:
        return hf_hub_download(repository, "tokenizer.json", revision=commit)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", where=f"tokenizer: {repository}") from None


def _parse(words: Any, path: str | Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(json.dumps(words))
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"not a tokenizer.json: {error}", where=str(path)) from None


def _pad(tokenizer: Tokenizer, size: int) -> None:
    """Fill the vocabulary up to `size` with tokens that no text has."""
    known = tokenizer.get_vocab_size()
    if size and size < known:
        message = f"the tokenizer has {known} entries already"
        raise UserError(message, where="tokenizer.pad_vocabulary_to", value=size)
    tokenizer.add_special_tokens([f"<|unused{i}|>" for i in range(known, size)])


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer as everything here uses it: special tokens written in a text are plain text."""
    tokenizer = _parse(artifacts.read_json(path), path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def chunks(text: str) -> Iterator[str]:
    """A long text in pieces, cut before white space that follows a word.

    Byte-level BPE never merges across such a place, so that its tokens are those of the whole text;
    a tokenizer's memory is a hundred times its text.
    """
    start = 0
    while len(text) - start > CHUNK:
        piece = text[start : start + CHUNK + 1]
        cut = _last_word_end(piece)
        yield piece[:cut]
        start += cut
    yield text[start:]


def _last_word_end(piece: str) -> int:
    tail = piece[-1024:]
    ends = [match.end() for match in re.finditer(r"\S(?=[ \t\r\n])", tail)]
    return len(piece) - len(tail) + ends[-1] if ends else len(piece) - 1


def read_documents(
    corpus: Path, split: str, shard: int = 0, shards: int = 1
) -> Iterator[tuple[int, str]]:
    """Number and text of a split's documents, in bounded memory; of one part out of `shards`."""
    path = seals.verified(corpus / "documents.parquet")
    with pq.ParquetFile(path, buffer_size=1 << 20) as file:
        groups = file.num_row_groups
        for group in range(groups * shard // shards, groups * (shard + 1) // shards):
            table = file.read_row_group(group, columns=["document", "text", "split"])
            chosen = table.filter(pc.equal(table["split"], split))
            yield from zip(chosen["document"].to_pylist(), chosen["text"].to_pylist(), strict=True)


def pack(out: Path, corpus: Path, tokenizer: Path, spec: dict[str, Any]) -> None:
    """Write a source's rows, `inputs.npy` [n, length] and `index.parquet`, and their manifest.

    `spec`: `source`, `length`, `shards` (default 1) and which of them (`shard`). The documents of
    split `pool` follow each other, each closed by end-of-text, cut every `length` tokens; the last,
    partial row and rows seen before are dropped. Memory: a group of documents (8 MiB of text, or
    the largest), its tokens, and about 120 bytes a row for the hashes of rows and their index.
    """
    encoder, length = load_tokenizer(tokenizer), spec["length"]
    vocabulary = encoder.get_vocab_size()
    dtype = np.dtype(np.uint16 if vocabulary < 65_536 else np.uint32)
    writer = Rows(length, dtype)
    with artifacts.atomic(out / "inputs.npy") as temporary:
        pieces = _pieces(corpus, spec.get("shard", 0), spec.get("shards", 1))
        left = writer.write(temporary, _tokens(pieces, encoder, dtype))
        if not writer.count:
            message = f"its pool has {left} tokens: not one row of {length}"
            hint = "give more documents, fewer shards, or a shorter context"
            raise UserError(message, where=f"corpora: {spec['source']}", hint=hint)
    artifacts.write(out / "index.parquet", writer.index(spec["source"]), "index")
    artifacts.write_manifest(
        out / "manifest.json",
        [out / "inputs.npy", out / "index.parquet"],
        source=spec["source"],
        length=length,
        vocabulary=vocabulary,
        tokenizer=artifacts.sha256(tokenizer),
        rows=writer.count,
        dropped={"duplicate rows": writer.duplicates, "tokens of a partial row": left},
    )


def _tokens(
    pieces: Iterable[tuple[int, str, bool]], encoder: Tokenizer, dtype: np.dtype[Any]
) -> Iterator[tuple[int, np.ndarray]]:
    """Tokens of one piece of a document at a time, the last piece closed by end-of-text."""
    end = encoder.token_to_id(END)
    for batch in _batches(pieces):
        texts = [text for _, text, _ in batch]
        encodings = encoder.encode_batch_fast(texts, add_special_tokens=False)
        for (document, _, last), encoding in zip(batch, encodings, strict=True):
            ids = encoding.ids
            yield document, np.array([*ids, end] if last else ids, dtype)


def _pieces(corpus: Path, shard: int, shards: int) -> Iterator[tuple[int, str, bool]]:
    for document, text in read_documents(corpus, "pool", shard, shards):
        pieces = list(chunks(text))
        for number, piece in enumerate(pieces, 1):
            yield document, piece, number == len(pieces)


def _batches(pieces: Iterable[tuple[int, str, bool]]) -> Iterator[list[tuple[int, str, bool]]]:
    batch: list[tuple[int, str, bool]] = []
    for piece in pieces:
        batch.append(piece)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


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
        entry = sources.setdefault(source, blank)
        place = Path(os.path.relpath(folder, out.parent)).as_posix()
        entry["shards"].append({"folder": place, "rows": facts["rows"], "files": facts["files"]})
        entry["rows"] += facts["rows"]
        for reason, count in facts["dropped"].items():
            entry["dropped"][reason] = entry["dropped"].get(reason, 0) + count
        offset += facts["rows"]
    artifacts.write_json(out, {**shared, "rows": offset, "sources": list(sources.values())})


class Pool:
    """The candidate examples, memory-mapped: rows of `length` tokens of every source."""

    def __init__(self, facts: dict[str, Any], shards: list[np.ndarray]) -> None:
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
        listed = [shard["folder"] for source in facts["sources"] for shard in source["shards"]]
        folders = [Path(manifest).parent / folder for folder in listed]
        shards = [arrays.read(folder / "inputs.npy", "r") for folder in folders]
        return cls(facts, shards)

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

    def windows(self, size: int) -> Iterator[np.ndarray]:
        """Hashes of all windows of `size` tokens, some rows at a time: [k, windows] u64."""
        for shard in self._shards:
            for start in range(0, len(shard), WINDOW_ROWS):
                yield window_hashes(shard[start : start + WINDOW_ROWS], size)
