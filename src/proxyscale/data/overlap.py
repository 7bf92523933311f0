"""Overlap: which test items stand in other text, told by windows of their words.

An item is what is asked and answered. It stands in a text if more than half of its windows do, or
all of it does where it is shorter than a window; or if question and answer each stand whole in one
document, whatever is written around them. What is given with it, its context, is looked for apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.data.words import SEPARATOR

MOST_WORDS = 24  # of a window: a longer one was meant in tokens
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
END = np.array([SEPARATOR], np.uint32)


class Tested(NamedTuple):
    """An example's words, as hashes (u32): of what is asked, of the right answer, of the context.

    A whole text is all question; SEPARATOR stands between parts that do not follow each other.
    """

    question: np.ndarray
    answer: np.ndarray
    context: np.ndarray

    @property
    def item(self) -> np.ndarray:
        """Question and answer."""
        return np.concatenate([self.question, self.answer])


class Standing(NamedTuple):
    """Which of the tested stand in a text, and which of their contexts do, bool [tested]."""

    items: np.ndarray
    contexts: np.ndarray


def check_window(window: int) -> int:
    """The words of a window. UserError for so many that tokens were meant."""
    if window > MOST_WORDS:
        message = (
            f"this key counts words, not tokens, and {MOST_WORDS} is the most: a copy shorter than "
            "a window is found only whole; 8 is the default"
        )
        raise UserError(message, where="overlap_window", value=window)
    return window


def mixed(hashes: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer: spreads hashes of words over 64 bits."""
    values = hashes.astype(np.uint64) + MULTIPLIER
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def windows(
    words: np.ndarray, sizes: Sequence[int]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each size, smallest first: it, the places of the windows of so many words, their hashes.

    A polynomial of the words modulo 2^64, one word longer at every step. No window holds SEPARATOR.
    """
    spread, plain = mixed(words), words != SEPARATOR
    hashes, valid = np.zeros(len(words) + 1, np.uint64), np.ones(len(words) + 1, bool)
    for size in range(1, max(sizes, default=0) + 1):
        left = max(len(words) - size + 1, 0)
        hashes = hashes[:left] * MULTIPLIER + spread[size - 1 : size - 1 + left]
        valid = valid[:left] & plain[size - 1 : size - 1 + left]
        if size in sizes:
            places = np.flatnonzero(valid)
            yield size, places, hashes[places]


def distinct(values: np.ndarray) -> np.ndarray:
    """The different ones among numbers, sorted."""
    ordered = np.sort(values)
    found: np.ndarray = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return found


class _Side:
    """One side of what is tested, items or contexts: the windows of each part, all of one size."""

    def __init__(self, parts: Sequence[np.ndarray], window: int) -> None:
        self.parts = parts
        self.sizes = np.array([_size(part, window) for part in parts], int)
        self.short = np.array([int((p != SEPARATOR).sum()) < window for p in parts], bool)

    def windows(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """For each size: it, the numbers of the parts that have windows of it, these' hashes."""
        for size in sorted(set(self.sizes[self.sizes > 0].tolist())):
            for some in _batches(np.flatnonzero(self.sizes == size)):
                joined = np.concatenate([p for n in some for p in (self.parts[n], END)])
                ends = np.cumsum([len(self.parts[n]) + 1 for n in some])
                for _, places, hashes in windows(joined, [size]):
                    yield size, some[np.searchsorted(ends, places, side="right")], hashes


def _batches(numbers: np.ndarray) -> list[np.ndarray]:
    return np.array_split(numbers, max(1, len(numbers) >> 12))


def _size(part: np.ndarray, window: int) -> int:
    """Words in a window of a part: fewer only where no run of its words is as long as a window."""
    ends = np.flatnonzero(np.append(part, SEPARATOR) == SEPARATOR)
    longest = int(np.diff(np.append(-1, ends)).max()) - 1
    return min(longest, window)


class _Halves:
    """Items whose question and answer may stand apart in a document.

    The longer of both is looked for by its windows, the other one where all of those stand. Items
    of which the longer part alone has more than half of the windows need no second look.
    """

    def __init__(self, tested: Sequence[Tested], window: int) -> None:
        self.both: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for number, one in enumerate(tested):
            longer, other = sorted((one.question, one.answer), key=len, reverse=True)
            total = len(longer) + len(other)
            alone = 2 * (len(longer) - window + 1) > total - window + 1
            if total >= window and len(other) and not alone and SEPARATOR not in longer:
                self.both[number] = longer, other
        self.items = np.array(list(self.both), int)
        self.side = _Side([longer for longer, _ in self.both.values()], window)

    def stands(self, item: int, text: np.ndarray) -> bool:
        """Whether both halves of an item stand in a text."""
        return all(_contains(text, part) for part in self.both[item])


def _contains(text: np.ndarray, part: np.ndarray) -> bool:
    places = np.flatnonzero(text[: max(len(text) - len(part) + 1, 0)] == part[0])
    return any(np.array_equal(text[place : place + len(part)], part) for place in places)


class Sought:
    """What is looked for: the windows of the items and contexts of one test set.

    What a text has of it are flags, packed into bytes: items whose question and answer stand apart
    in a document, then distinct windows by size. Those of several texts are joined by `|`.
    """

    def __init__(self, tested: Sequence[Tested], window: int) -> None:
        self.count = len(tested)
        parts = [one.item for one in tested], [one.context for one in tested]
        self.sides = [_Side(part, window) for part in parts]
        self.halves = _Halves(tested, window)
        self.short = self.sides[0].short

    def hashes(self) -> dict[int, np.ndarray]:
        """The distinct windows by size, sorted u64."""
        found: dict[int, list[np.ndarray]] = defaultdict(list)
        for side in (*self.sides, self.halves.side):
            for size, _, hashes in side.windows():
                found[size].append(distinct(hashes))
        return {size: distinct(np.concatenate(found[size])) for size in sorted(found)}

    def standing(self, found: Sequence[np.ndarray]) -> list[Standing]:
        """Who stands in each of some texts, by the flags of each."""
        known = self.hashes()
        *starts, total = np.cumsum([self.count, *map(len, known.values())])
        begins = dict(zip(known, starts, strict=True))
        found = [np.unpackbits(flags, count=int(total)).astype(bool) for flags in found]
        shares = [[_Share(side) for side in self.sides] for _ in found]
        for number, side in enumerate(self.sides):
            for size, owners, hashes in side.windows():
                places = begins[size] + np.searchsorted(known[size], hashes)
                for flags, share in zip(found, shares, strict=True):
                    share[number].add(owners, flags[places])
        return [
            Standing(items.enough() | flags[: self.count], contexts.enough())
            for flags, (items, contexts) in zip(found, shares, strict=True)
        ]


class _Share:
    """How many windows each part of a side has, and how many of them are there."""

    def __init__(self, side: _Side) -> None:
        self.short = side.short
        self.there, self.all = (np.zeros(len(side.parts), int) for _ in range(2))

    def add(self, owners: np.ndarray, there: np.ndarray) -> None:
        self.there += np.bincount(owners[there], minlength=len(self.there))
        self.all += np.bincount(owners, minlength=len(self.all))

    def enough(self) -> np.ndarray:
        most = np.where(self.short, self.there == self.all, 2 * self.there > self.all)
        return most & (self.all > 0)
