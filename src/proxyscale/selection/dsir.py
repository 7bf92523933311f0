"""Data selection with importance resampling (Xie et al., 2302.03169): hashed n-gram features.

Counts and weights are those of the authors' `data-selection` package; what is cached here is the
bucket of every distinct n-gram, so that each is hashed once and not at every occurrence.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator

import numpy as np
from scipy.sparse import csr_array, vstack

BUCKETS = 10_000
CHUNK = 500  # texts counted together; bounds memory, changes no result
KNOWN = 5_000_000  # pairs of words whose buckets are remembered
SMOOTHING = 1e-8  # added to both probabilities, as the package does
WORDS = re.compile(r"\w+|[^\w\s]+")  # nltk's WordPunctTokenizer


def bucket(ngram: str, buckets: int = BUCKETS) -> int:
    """The bucket of an n-gram, its words joined by a space: SHA-256 modulo `buckets`."""
    return int.from_bytes(hashlib.sha256(ngram.encode()).digest(), "big") % buckets


class NgramCounter:
    """Counts of hashed unigrams and bigrams; remembers every n-gram that it has hashed."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        self.buckets = buckets
        self.words: dict[str, int] = {}
        self.names: list[str] = []
        self.word_buckets: list[int] = []
        self.pair_buckets: dict[int, int] = {}

    def __call__(self, texts: Iterable[str]) -> csr_array:
        """Counts i64 [texts, buckets] of the lower-cased words and pairs of neighbours."""
        chunks = list(self.pieces(texts))
        if not chunks:
            return csr_array((0, self.buckets), dtype=np.int64)
        return csr_array(vstack(chunks, format="csr"))

    def pieces(self, texts: Iterable[str]) -> Iterator[csr_array]:
        """The counts of some texts at a time, in bounded memory."""
        for chunk in _chunks(texts, CHUNK):
            if len(self.pair_buckets) > KNOWN:
                self.words.clear()
                self.names.clear()
                self.word_buckets.clear()
                self.pair_buckets.clear()
            yield self._count(chunk)

    def total(self, texts: Iterable[str]) -> np.ndarray:
        """Counts i64 [buckets] of all of some texts."""
        return np.asarray(sum(piece.sum(axis=0) for piece in self.pieces(texts)))

    def _count(self, texts: list[str]) -> csr_array:
        found = [WORDS.findall(text.lower()) for text in texts]
        lengths = np.fromiter(map(len, found), dtype=np.int64, count=len(found))
        self._learn_words(found)
        every = itertools.chain.from_iterable(found)
        words = np.fromiter(map(self.words.__getitem__, every), np.int64, int(lengths.sum()))
        rows = np.repeat(np.arange(len(texts)), lengths)
        inside = rows[1:] == rows[:-1]
        unigrams = np.asarray(self.word_buckets, dtype=np.int64)[words]
        bigrams = self._bucket_pairs(words[:-1][inside], words[1:][inside])
        columns = np.concatenate([unigrams, bigrams])
        where = np.concatenate([rows, rows[1:][inside]])
        ones = np.ones(len(columns), dtype=np.int64)
        return csr_array((ones, (where, columns)), shape=(len(texts), self.buckets))

    def _learn_words(self, found: list[list[str]]) -> None:
        distinct = dict.fromkeys(itertools.chain.from_iterable(found))
        for word in distinct:
            if word not in self.words:
                self.words[word] = len(self.names)
                self.names.append(word)
                self.word_buckets.append(bucket(word, self.buckets))

    def _bucket_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        keys, where = np.unique(first << 32 | second, return_inverse=True)
        names, known = self.names, self.pair_buckets
        for key in keys.tolist():
            if key not in known:
                pair = f"{names[key >> 32]} {names[key & 0xFFFFFFFF]}"
                known[key] = bucket(pair, self.buckets)
        found = np.fromiter(map(known.__getitem__, keys.tolist()), np.int64, len(keys))
        return found[where]


def _chunks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(texts)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def log_importance(raw: csr_array, target: csr_array) -> np.ndarray:
    """log w(x) = Σ_j counts_j(x) (log γ_target,j - log γ_raw,j), f64 [raw texts] (section 3).

    `raw` and `target` are counts [texts, buckets]; γ are the bucket frequencies over all texts
    of each side.
    """
    return np.asarray(raw @ log_ratio(raw.sum(axis=0), target.sum(axis=0)))


def log_ratio(raw_total: np.ndarray, target_total: np.ndarray) -> np.ndarray:
    """log γ_target,j - log γ_raw,j of every bucket, from the counts of all texts of each side."""
    gamma_raw = raw_total / raw_total.sum()
    gamma_target = target_total / target_total.sum()
    return np.asarray(np.log(gamma_target + SMOOTHING) - np.log(gamma_raw + SMOOTHING))
