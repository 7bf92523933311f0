"""n-gram models of tokens: what a distribution says of a text without any training.

Counts are of 64-bit hashes of n-grams; of a billion different ones two share a hash with a chance
below 3 %. No n-gram reaches over the end of an example.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from proxyscale.data.overlap import windows
from proxyscale.data.words import SEPARATOR

ORDER = 4  # tokens of the longest n-grams


class _Counts(NamedTuple):
    """n-grams of one length and their prefixes, one token shorter: sorted hashes and counts."""

    grams: np.ndarray  # u64 [grams]
    times: np.ndarray  # [grams]
    prefixes: np.ndarray  # u64 [prefixes]
    total: np.ndarray  # [prefixes] tokens that follow
    types: np.ndarray  # [prefixes] different ones


class Text(NamedTuple):
    """Token sequences, one after the other, and the places of which something is asked."""

    tokens: np.ndarray  # u32 [length], each one higher than the tokenizer's; SEPARATOR between
    places: np.ndarray  # [asked]
    owner: np.ndarray  # [asked] number of the sequence, from 0

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], asked_from: Sequence[int]) -> Text:
        """Sequences of which tokens from `asked_from` on are asked."""
        ends = np.cumsum([len(row) + 1 for row in rows]) - 1
        tokens = np.full(int(ends[-1]) + 1 if len(rows) else 0, SEPARATOR, np.uint32)
        places, owner = [], []
        for number, (row, end, first) in enumerate(zip(rows, ends, asked_from, strict=True)):
            tokens[end - len(row) : end] = row.astype(np.uint32) + 1
            places.append(np.arange(end - len(row) + first, end))
            owner.append(np.full(len(row) - first, number))
        return cls(tokens, *(np.concatenate(part) for part in (places, owner)))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean over each sequence's places of a value of every place: [sequences]."""
        sums = np.bincount(self.owner, values)
        return np.asarray(sums / np.bincount(self.owner))


class Ngrams:
    """Counts of all n-grams of up to `order` tokens in examples [examples, length]."""

    def __init__(self, examples: np.ndarray, vocabulary: int, order: int = ORDER) -> None:
        parted = np.full((len(examples), examples.shape[1] + 1), SEPARATOR, np.uint32)
        parted[:, :-1] = examples
        parted[:, :-1] += 1
        text, self.vocabulary = parted.ravel(), vocabulary
        self.counts: list[_Counts] = []
        prefix = np.zeros(len(text), np.uint64)  # of no token at all there is one
        for _, places, hashes in windows(text, range(1, order + 1)):
            grams, first, count = np.unique(hashes, return_index=True, return_counts=True)
            prefixes, number = np.unique(prefix[places[first]], return_inverse=True)
            total, types = np.bincount(number, count).astype(np.int64), np.bincount(number)
            self.counts.append(_Counts(grams, count, prefixes, total, types))
            prefix = np.zeros(len(text), np.uint64)
            prefix[places] = hashes

    def losses(self, text: Text) -> np.ndarray:
        """−ln p of the token at every place of a text, given those before it: [asked].

        Witten–Bell's interpolation, (c(hw) + T(h)·p(w|h′))/(c(h) + T(h)) with T(h) different tokens
        after h and h′ without its first token; below unigrams all of the vocabulary are alike.
        Source: Witten & Bell (1991), IEEE Trans. Inf. Theory 37, 1085–1094, method C.
        """
        p = np.full(len(text.places), 1 / self.vocabulary)
        for (mine, gram, prefix), counts in zip(self._ending(text), self.counts, strict=True):
            total, types = (
                _looked_up(counts.prefixes, values, prefix)
                for values in (counts.total, counts.types)
            )
            seen = total > 0
            times = _looked_up(counts.grams, counts.times, gram[seen])
            mine, total, types = mine[seen], total[seen], types[seen]
            p[mine] = (times + types * p[mine]) / (total + types)
        return np.asarray(-np.log(p))

    def known(self, text: Text) -> np.ndarray:
        """The mean over lengths of whether the n-gram that ends at a place is known: [asked]."""
        hits, lengths = np.zeros((2, len(text.places)))
        for (mine, gram, _), counts in zip(self._ending(text), self.counts, strict=True):
            hits[mine] += _looked_up(counts.grams, counts.times, gram) > 0
            lengths[mine] += 1
        return np.asarray(hits / lengths)

    def _ending(self, text: Text) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For every length the places [k] where an n-gram ends, its hash and its prefix's."""
        found, prefix = [], np.zeros(len(text.tokens), np.uint64)
        for size, starts, hashes in windows(text.tokens, range(1, len(self.counts) + 1)):
            here = np.zeros(len(text.tokens), np.uint64)
            here[starts] = hashes
            whole = np.zeros(len(text.tokens), bool)
            whole[starts] = True
            begin = text.places - size + 1
            mine = np.flatnonzero((begin >= 0) & whole[np.maximum(begin, 0)])
            found.append((mine, here[begin[mine]], prefix[begin[mine]]))
            prefix = here
        return found


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0 where it is not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
