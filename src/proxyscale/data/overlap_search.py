"""The search for overlap: several test sets at once, in one pass over a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from proxyscale.base import arrays
from proxyscale.data.encoded_items import EncodedItems
from proxyscale.data.overlap import Sought, distinct, windows
from proxyscale.data.words import SEPARATOR

CHUNK = 1 << 20  # words of a text looked at together
FILTER_BITS = 20  # of the hash, at least: a bitmap of them spares most of the text the search
SHIFT, LOW, LAST = 32, (1 << 32) - 1, (1 << 63) - 1  # two numbers in one
FILTER_ROOM = 4  # places in the bitmap for each window wanted, at least


class _Wanted:
    """Windows of one size that are looked for, which of them were seen, and in whose halves."""

    def __init__(self, hashes: np.ndarray) -> None:
        self.hashes = hashes
        bits = max(FILTER_BITS, (FILTER_ROOM * len(hashes)).bit_length())
        self.mask = np.uint64((1 << bits) - 1)
        self.marked = np.zeros(1 << bits, bool)
        self.marked[hashes & self.mask] = True
        self.seen = np.zeros(len(hashes), bool)
        self.owned = np.zeros(len(hashes), bool)
        # number of a window << SHIFT | number of one that has it
        self.owners = np.zeros(0, np.int64)
        self.needed = np.zeros(0, int)  # how many windows each of those has

    def number(self, hashes: np.ndarray) -> np.ndarray:
        """The numbers of windows that are all wanted."""
        return np.searchsorted(self.hashes, hashes)

    def among(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places in `hashes` of those that are wanted, and their numbers."""
        likely = np.flatnonzero(self.marked[hashes & self.mask])
        number = np.minimum(self.number(hashes[likely]), len(self.hashes) - 1)
        right = self.hashes[number] == hashes[likely]
        return likely[right], number[right]

    def own(self, owners: np.ndarray, hashes: np.ndarray) -> None:
        """Note whose windows these are."""
        pairs = self.number(hashes) << SHIFT | owners
        self.owners = distinct(np.concatenate([self.owners, pairs]))
        self.owned[self.owners >> SHIFT] = True
        self.needed = np.bincount(self.owners & LOW)

    def whole(self, numbers: np.ndarray, documents: np.ndarray) -> Iterator[tuple[int, int]]:
        """Documents, and those all of whose windows stand in them, given where windows stand."""
        mine = self.owned[numbers]
        pairs = distinct(documents[mine] << SHIFT | numbers[mine])
        first = np.searchsorted(self.owners, (pairs & LOW) << SHIFT)
        last = np.searchsorted(self.owners, ((pairs & LOW) + 1) << SHIFT)
        spans = [self.owners[a:b] & LOW for a, b in zip(first, last, strict=True)]
        owners = np.concatenate([self.owners[:0], *spans])
        held = np.sort(np.repeat(pairs >> SHIFT, last - first) << SHIFT | owners)
        found = distinct(held)
        counts = np.diff(np.searchsorted(held, np.append(found, LAST)))
        for pair in found[counts == self.needed[found & LOW]].tolist():
            yield pair >> SHIFT, pair & LOW


class _Search:
    """Several test sets at once."""

    def __init__(self, sought: Sequence[Sought]) -> None:
        self.sought = sought
        union: dict[int, np.ndarray] = {}
        for one in sought:
            for size, hashes in one.hashes().items():
                known = union.get(size, hashes[:0])
                union[size] = distinct(np.concatenate([known, hashes]))
        self.wanted = {size: _Wanted(union.pop(size)) for size in sorted(union)}
        # halves of all sets are numbered together
        self.halves = [(one, n, item) for n, one in enumerate(sought) for item in one.halves.items]
        offset = 0
        for one in sought:
            for size, owners, hashes in one.halves.side.windows():
                self.wanted[size].own(owners + offset, hashes)
            offset += len(one.halves.items)
        self.apart = [np.zeros(one.count, bool) for one in sought]

    def look(self, words: np.ndarray) -> None:
        """Note what stands in a piece of text."""
        ends = np.flatnonzero(np.append(words, SEPARATOR) == SEPARATOR)
        for size, places, hashes in windows(words, list(self.wanted)):
            wanted = self.wanted[size]
            at, numbers = wanted.among(hashes)
            wanted.seen[numbers] = True
            for document, half in wanted.whole(numbers, np.searchsorted(ends, places[at])):
                one, number, item = self.halves[half]
                begin = ends[document - 1] + 1 if document else 0
                if not self.apart[number][item]:
                    text = words[begin : ends[document]]
                    self.apart[number][item] = one.halves.stands(item, text)

    def flags(self) -> Iterator[np.ndarray]:
        """What was seen of each set, packed."""
        for one, apart in zip(self.sought, self.apart, strict=True):
            seen = [self.wanted[s].seen[self.wanted[s].number(h)] for s, h in one.hashes().items()]
            yield np.packbits(np.concatenate([apart, *seen]))


def search(sought: Sequence[Sought], text: np.ndarray) -> list[np.ndarray]:
    """The flags of each test set in a text: hashes of words, SEPARATOR after every document.

    One pass over the text; memory is bounded by what is sought and by a chunk of text. Windows are
    told by 64-bit hashes: that a text of 10^12 words is held to have any one of a million windows
    that it does not have is less likely than 1 in 10.
    """
    found = _Search(sought)
    for chunk in _chunks(text, max(found.wanted, default=1)):
        found.look(chunk)
    return list(found.flags())


def _chunks(text: np.ndarray, window: int) -> Iterator[np.ndarray]:
    """A text in chunks of whole documents; a document longer than a chunk in overlapping ones."""
    start = 0
    while start < len(text):
        chunk = np.array(text[start : start + CHUNK])
        ends = np.flatnonzero(chunk == SEPARATOR)
        if start + len(chunk) >= len(text):
            step = len(chunk)
        elif len(ends):
            step = int(ends[-1]) + 1
        else:
            step = len(chunk) - window + 1
        yield chunk[: step if len(ends) else None]
        start += step


def find_overlap(out: Path, pack: Path, items: Path, window: int) -> None:
    """Search a pack's documents for a test set's items by windows of so many words.

    `out` are its flags (see `Sought`). Memory grows with the items, not with the text.
    """
    sought = Sought(EncodedItems.open(items).tested, window)
    arrays.write(out, search([sought], arrays.read(pack / "words.npy", "r"))[0])
