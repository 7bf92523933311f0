"""Overlap: which test items stand in other text, told by windows of their words.

An item is what is asked and answered. It stands in a text if more than half of its windows do, or
all of it does where it is shorter than a window; or if question and answer each stand whole in one
document, whatever is written around them. What is given with it, its context, is looked for apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.data.words import SEPARATOR

MOST_WORDS = 24  # of a window: a longer one was meant in tokens
CHUNK = 1 << 20  # words of a text looked at together
FILTER_BITS = 20  # of the hash, at least: a bitmap of them spares most of the text the search
FILTER_ROOM = 8  # places in the bitmap for each window wanted
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
Texts = Iterable[tuple[str, np.ndarray]]  # of a source: words' hashes, SEPARATOR after a document


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
    """Which of the tested stand in the texts, and which of their contexts do, bool [tested]."""

    items: np.ndarray
    contexts: np.ndarray


class Found(NamedTuple):
    """What stands in all sources together and in each of them; what is shorter than a window."""

    all: Standing
    sources: dict[str, Standing]
    short: np.ndarray


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


class _Wanted:
    """Windows of one size that are looked for, and which of them were seen."""

    def __init__(self, hashes: np.ndarray) -> None:
        self.hashes = np.unique(hashes)
        bits = max(FILTER_BITS, (FILTER_ROOM * len(self.hashes)).bit_length())
        self.mask = np.uint64((1 << bits) - 1)
        self.marked = np.zeros(1 << bits, bool)
        self.marked[self.hashes & self.mask] = True
        self.seen = np.zeros(len(self.hashes), bool)

    def number(self, hashes: np.ndarray) -> np.ndarray:
        """The numbers of windows that are all wanted."""
        return np.searchsorted(self.hashes, hashes)

    def among(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places in `hashes` of those that are wanted, and their numbers."""
        likely = np.flatnonzero(self.marked[hashes & self.mask])
        number = np.minimum(self.number(hashes[likely]), len(self.hashes) - 1)
        right = self.hashes[number] == hashes[likely]
        return likely[right], number[right]


class _Side:
    """One side of what is tested, items or contexts: the windows of each, all of one size."""

    def __init__(self, parts: Sequence[np.ndarray], window: int) -> None:
        self.count = len(parts)
        self.sizes = np.array([_size(part, window) for part in parts], int)
        found = [_windows(part, size) for part, size in zip(parts, self.sizes, strict=True)]
        self.hashes = dict(enumerate(found))
        self.short = np.array([int((p != SEPARATOR).sum()) < window for p in parts], bool)

    def standing(self, wanted: dict[int, _Wanted]) -> np.ndarray:
        """Which have enough of their windows among those seen, bool [parts]."""
        result = np.zeros(self.count, bool)
        for part, hashes in self.hashes.items():
            if len(hashes):
                there = wanted[int(self.sizes[part])]
                share = there.seen[there.number(hashes)].mean()
                result[part] = share == 1 if self.short[part] else share > 0.5
        return result


def _size(part: np.ndarray, window: int) -> int:
    """Words in a window of a part: fewer only where no run of its words is as long as a window."""
    ends = np.flatnonzero(np.append(part, SEPARATOR) == SEPARATOR)
    longest = int(np.diff(np.append(-1, ends)).max()) - 1
    return min(longest, window)


def _windows(part: np.ndarray, size: int) -> np.ndarray:
    return next((found for _, _, found in windows(part, [size])), np.zeros(0, np.uint64))


class _Halves:
    """Items whose question and answer may stand apart in a document.

    The longer of both is looked for by its windows, the other one where all of those stand. Items
    of which the longer part alone has more than half of the windows need no second look.
    """

    def __init__(self, tested: Sequence[Tested], window: int) -> None:
        self.hashes: dict[int, tuple[int, np.ndarray]] = {}
        self.both: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.owners: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, one in enumerate(tested):
            longer, other = sorted((one.question, one.answer), key=len, reverse=True)
            total = len(longer) + len(other)
            alone = 2 * (len(longer) - window + 1) > total - window + 1
            if total >= window and len(other) and not alone and SEPARATOR not in longer:
                size = min(len(longer), window)
                self.hashes[number] = size, np.unique(_windows(longer, size))
                self.both[number] = longer, other

    def own(self, wanted: dict[int, _Wanted]) -> None:
        """Note whose windows are whose, by their numbers."""
        for item, (size, hashes) in self.hashes.items():
            for number in wanted[size].number(hashes).tolist():
                self.owners[size][number].append(item)

    def standing(
        self, size: int, words: np.ndarray, places: np.ndarray, numbers: np.ndarray
    ) -> set[int]:
        """Items that stand in one document of the words, given where windows of a size do."""
        owners = self.owners.get(size, {})
        mine = np.isin(numbers, list(owners))
        if not mine.any():
            return set()
        ends = np.flatnonzero(np.append(words, SEPARATOR) == SEPARATOR)
        documents = np.searchsorted(ends, places[mine])
        pairs = set(zip(documents.tolist(), numbers[mine].tolist(), strict=True))
        counts = Counter((document, item) for document, n in pairs for item in owners[n])
        found = set()
        for (document, item), count in counts.items():
            if item not in found and count == len(self.hashes[item][1]):
                begin = ends[document - 1] + 1 if document else 0
                text = words[begin : ends[document]]
                if all(_contains(text, part) for part in self.both[item]):
                    found.add(item)
        return found


def _contains(text: np.ndarray, part: np.ndarray) -> bool:
    places = np.flatnonzero(text[: max(len(text) - len(part) + 1, 0)] == part[0])
    return any(np.array_equal(text[place : place + len(part)], part) for place in places)


def search(tested: Sequence[Tested], texts: Texts, window: int) -> Found:
    """Which of the tested stand in texts, by windows of `window` words.

    One pass over the texts; memory is bounded by the tested and by a chunk of text. Windows are
    told by 64-bit hashes: that a text of 10^12 words is held to have any one of a million windows
    that it does not have is less likely than 1 in 10.
    """
    parts = [one.item for one in tested], [one.context for one in tested]
    sides = [_Side(part, window) for part in parts]
    halves = _Halves(tested, window)
    by_size: dict[int, list[np.ndarray]] = defaultdict(list)
    for side in sides:
        for part, hashes in side.hashes.items():
            by_size[int(side.sizes[part])].append(hashes)
    for size, hashes in halves.hashes.values():
        by_size[size].append(hashes)
    wanted = {s: _Wanted(np.concatenate(h)) for s, h in by_size.items() if any(map(len, h))}
    halves.own(wanted)
    total = {size: np.zeros(len(one.hashes), bool) for size, one in wanted.items()}
    apart: dict[str, set[int]] = defaultdict(set)
    seen: dict[str, dict[int, np.ndarray]] = {}
    for name, text in texts:
        mine = seen.setdefault(name, {s: np.zeros(len(w.hashes), bool) for s, w in wanted.items()})
        for chunk in _chunks(text, max(wanted, default=1)):
            for size, places, hashes in windows(chunk, list(wanted)):
                at, numbers = wanted[size].among(hashes)
                mine[size][numbers] = True
                apart[name] |= halves.standing(size, chunk, places[at], numbers)

    def standing(found: dict[int, np.ndarray], whole: set[int]) -> Standing:
        for size, flags in found.items():
            wanted[size].seen = flags
        items, contexts = (side.standing(wanted) for side in sides)
        items[list(whole)] = True
        return Standing(items, contexts)

    sources = {name: standing(mine, apart[name]) for name, mine in seen.items()}
    for mine in seen.values():
        for size, flags in mine.items():
            total[size] |= flags
    return Found(standing(total, set().union(*apart.values())), sources, sides[0].short)


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
