"""Overlap: which examples of a test set stand in other text, told by windows of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from proxyscale.data.packing import window_hashes

# A bitmap of this many low bits of the hash spares most of the text the binary search.
FILTER_BITS = 20

Windows = Callable[[int], Iterable[np.ndarray]]


class Tested(NamedTuple):
    """What of an example must not stand in other text, as tokens: its row, and the right answer."""

    row: list[int]
    answer: list[int]

    def parts(self, window: int) -> list[np.ndarray]:
        """Rows from a quarter of a window on and answers from a half on; less is no evidence."""
        kept = [(self.row, window // 4), (self.answer, window // 2)]
        return [np.asarray(part) for part, least in kept if len(part) >= max(least, 1)]


def standing(tested: Sequence[Tested], windows: Windows, window: int) -> np.ndarray:
    """Which examples stand in a text, bool [len(tested)].

    A part of an example stands there if more than half of its windows of `window` tokens do. A part
    shorter than a window stands there if all of it does: every window of the largest power of two
    that fits in it. `windows(size)` streams the hashes of the text's windows as u64 arrays; memory
    is bounded by the examples. Windows of a pool do not cross its rows, as training does not.
    """
    parts = [(index, part) for index, one in enumerate(tested) for part in one.parts(window)]
    sizes = [window if len(p) >= window else 1 << (len(p).bit_length() - 1) for _, p in parts]
    result = np.zeros(len(tested), dtype=bool)
    for size in sorted(set(sizes)):
        own = [(index, part) for (index, part), s in zip(parts, sizes, strict=True) if s == size]
        hashes = [window_hashes(part[None], size)[0] for _, part in own]
        found = known(np.unique(np.concatenate(hashes)), windows(size))
        for (index, _), own_hashes in zip(own, hashes, strict=True):
            share = among(own_hashes, found).mean()
            result[index] |= share > 0.5 if size == window else share == 1
    return result


def known(wanted: np.ndarray, stream: Iterable[np.ndarray]) -> np.ndarray:
    """Those of the sorted u64 hashes `wanted` that occur in the stream."""
    mask = np.uint64((1 << FILTER_BITS) - 1)
    marked = np.zeros(1 << FILTER_BITS, dtype=bool)
    marked[wanted & mask] = True
    seen = np.zeros(len(wanted), dtype=bool)
    for hashes in stream:
        hashes = hashes.ravel()
        likely = hashes[marked[hashes & mask]]
        place = np.searchsorted(wanted, likely[among(likely, wanted)])
        seen[place] = True
    return wanted[seen]


def among(values: np.ndarray, sorted_set: np.ndarray) -> np.ndarray:
    """Which values occur in a sorted array, bool [len(values)]."""
    if not len(sorted_set):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(sorted_set, values), len(sorted_set) - 1)
    return np.asarray(sorted_set[place] == values)
