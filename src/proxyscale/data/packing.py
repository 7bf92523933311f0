"""Rows of tokens: hashes of their windows, and the cutting of a stream into distinct rows."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from proxyscale.base import arrays

END = "<|endoftext|>"  # closes every document; added to a tokenizer that lacks it
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, hence invertible modulo 2^64
HELD = 1 << 20  # tokens held before they are cut into rows


def _mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer: spreads 64-bit integers over their range."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


@functools.cache
def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """MULTIPLIER^j and its inverse modulo 2^64, j < count."""
    inverse = pow(int(MULTIPLIER), -1, 1 << 64)
    bases = np.array([[MULTIPLIER], [inverse]], np.uint64).repeat(count, axis=1)
    bases[:, 0] = 1
    forward, backward = np.cumprod(bases, axis=1, dtype=np.uint64)
    return forward, backward


def window_hashes(tokens: np.ndarray, size: int) -> np.ndarray:
    """64-bit hashes of every window of `size` tokens: [k, length] -> [k, length - size + 1] u64.

    A polynomial hash over mixed token ids, modulo 2^64, out of differences of prefix sums: equal
    windows have equal hashes wherever they stand. No windows where `length` < `size`.
    """
    rows, length = tokens.shape
    windows = max(length - size + 1, 0)
    forward, backward = _powers(length + 1)
    sums = np.zeros((rows, length + 1), np.uint64)
    mixed = _mix(tokens.astype(np.uint64) + MULTIPLIER)
    np.cumsum(mixed * forward[:length], axis=1, out=sums[:, 1:])
    return _mix((sums[:, length + 1 - windows :] - sums[:, :windows]) * backward[:windows])


class Rows:
    """Cuts a stream of tokens into distinct rows and keeps their index."""

    def __init__(self, length: int, dtype: np.dtype[Any]) -> None:
        self.length = length
        self.dtype = dtype
        self.count = self.duplicates = 0
        self.seen: set[int] = set()
        self.hashes: list[np.ndarray] = []
        self.documents: list[np.ndarray] = []

    def write(self, path: Path, stream: Iterable[tuple[int, np.ndarray]]) -> int:
        """Write the rows as a .npy file; returns the number of tokens left over."""
        with open(path, "wb") as file:
            arrays.write_header(file, self.dtype, (0, self.length))
            start = file.tell()
            left = self._cut(file, stream)
            arrays.write_header(file, self.dtype, (self.count, self.length))
            assert file.tell() == start
        return left

    def _cut(self, file: BinaryIO, stream: Iterable[tuple[int, np.ndarray]]) -> int:
        held: list[tuple[int, np.ndarray]] = []
        size = 0
        for document, tokens in stream:
            held.append((document, tokens))
            size += len(tokens)
            if size >= HELD:
                held = self._emit(file, held)
                size = sum(len(tokens) for _, tokens in held)
        return sum(len(tokens) for _, tokens in self._emit(file, held))

    def _emit(
        self, file: BinaryIO, held: list[tuple[int, np.ndarray]]
    ) -> list[tuple[int, np.ndarray]]:
        """Write the whole rows among the tokens held; returns the rest."""
        if not held:
            return []
        tokens = np.concatenate([tokens for _, tokens in held])
        whole = len(tokens) // self.length * self.length
        rows = tokens[:whole].reshape(-1, self.length)
        ends = np.cumsum([len(tokens) for _, tokens in held])
        begins = np.searchsorted(ends, np.arange(0, whole, self.length), side="right")
        documents = np.array([document for document, _ in held], np.uint32)
        hashes = window_hashes(rows, self.length)[:, 0]
        new = self._distinct(hashes)
        rows[new].tofile(file)
        self.count += len(new)
        self.duplicates += len(rows) - len(new)
        self.hashes.append(hashes[new])
        self.documents.append(documents[begins[new]])
        return [(held[-1][0], tokens[whole:])] if whole < len(tokens) else []

    def _distinct(self, hashes: np.ndarray) -> np.ndarray:
        new = []
        for row, hash in enumerate(hashes.tolist()):
            if hash not in self.seen:
                self.seen.add(hash)
                new.append(row)
        return np.array(new, np.int64)

    def index(self, source: str) -> pa.Table:
        """The index table of the rows written."""
        names = pa.DictionaryArray.from_arrays(np.zeros(self.count, np.int8), [source])
        return pa.table(
            {
                "example": np.arange(self.count, dtype=np.uint32),
                "source": names,
                "document": np.concatenate(self.documents),
                "hash": np.concatenate(self.hashes),
            }
        )
