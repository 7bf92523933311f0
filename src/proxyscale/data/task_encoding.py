"""Items in tokens: those that running text has; whole texts packed, few-shot examples in front."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from proxyscale.data.overlap import Tested
from proxyscale.data.packing import END
from proxyscale.data.raw_record import Dropped
from proxyscale.data.record_counts import RecordCounts
from proxyscale.data.task_items import Item, seeded_hash
from proxyscale.data.tokens import tokens, unknown_id
from proxyscale.data.words import SEPARATOR, words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SHOT_DELIMITER = "\n"
NOTHING = np.zeros(0, np.uint32)


class Row(NamedTuple):
    """A choice in tokens, u32: what stands before it, what is scored, and the text of that.

    The text is without the space before it, as lm-evaluation-harness counts its length. `starts`
    are the places in the prompt where its tokens begin, those that are cut off too.
    """

    context: np.ndarray
    scored: np.ndarray
    text: str
    starts: np.ndarray

    @classmethod
    def of(
        cls, context: Sequence[int], scored: Sequence[int], text: str, starts: Sequence[int] = ()
    ) -> Row:
        """A row of so many numbers."""
        before, after, places = (np.array(part, np.uint32) for part in (context, scored, starts))
        return cls(before, after, text, places)


class Example(NamedTuple):
    """An item in tokens, a row for each choice. `key` orders the examples and tells equal ones."""

    key: bytes
    item: Item
    rows: list[Row]
    cut: bool  # the prompt lost its beginning
    lost: bool  # and with it every answer that stood in it
    joined: bool  # a token holds the end of the prompt and the beginning of a choice
    tested: Tested

    @property
    def context(self) -> list[int]:
        """Tokens before the right choice."""
        found: list[int] = self.rows[self.item.gold].context.tolist()
        return found

    @property
    def continuations(self) -> list[list[int]]:
        """Tokens of every choice."""
        return [row.scored.tolist() for row in self.rows]


class _Choice(NamedTuple):
    """Tokens of a prompt and a choice, with where in the text those of the prompt begin."""

    context: list[int]
    starts: list[int]
    scored: list[int]
    joined: bool

    def within(self, begin: int) -> list[int]:
        """Where the tokens of the text from `begin` on begin in it."""
        return [start - begin for start in self.starts[1:] if start >= begin]


class _Stream(NamedTuple):
    """Tokens of texts one after the other: ids, the numbers of their texts, their places there."""

    ids: list[int]
    texts: list[int]
    starts: list[int]
    ends: list[int]

    def part(self, first: int, last: int | None = None) -> _Stream:
        """The tokens from one on, up to another."""
        return _Stream(*(column[first:last] for column in self))


class Coder:
    """Items to examples, for one split; what it cannot use goes to the account."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        length: int,
        seed: int,
        few_shot: int = 0,
        whole_prompts: bool = False,
        account: RecordCounts | None = None,
    ) -> None:
        end = tokenizer.token_to_id(END)
        assert end is not None, "build_tokenizer adds it"
        self.tokenizer = tokenizer
        self.end = end
        self.unknown = unknown_id(tokenizer)
        self.length = length
        self.seed = seed
        self.few_shot = few_shot
        self.whole_prompts = whole_prompts
        self.account = account or RecordCounts()
        self.bank: list[Item] = []
        self.rest = _Stream([], [], [], [])
        self.texts: dict[int, str] = {}
        self.counts: Counter[str] = Counter()

    def __call__(self, items: Iterable[Item]) -> Iterator[Example]:
        for item in items:
            self.counts["items"] += 1
            if not is_unicode(item):
                self.drop(item, "not unicode")
            elif item.whole_text:
                yield from self.pack(item.choices[0])
            elif (example := self.encode(item)) is not None:
                yield example
        self.counts["tokens_left_over"] = len(self.rest.ids)

    def drop(self, item: Item, reason: str) -> None:
        """Count an item that is not used."""
        self.counts[reason.replace(" ", "_")] += 1
        self.account.drop(Dropped(item.where, reason))

    def pack(self, text: str) -> Iterator[Example]:
        """Rows of `length` tokens out of the texts so far, the document end before each text."""
        number = self.counts["texts"]
        self.counts["texts"] += 1
        self.texts[number] = text
        found = tokens(self.tokenizer, text)
        numbers = [number] * (1 + len(found.ids))
        more = ([self.end, *found.ids], numbers, [0, *found.starts], [0, *found.ends])
        for column, added in zip(self.rest, more, strict=True):
            column.extend(added)
        full = len(self.rest.ids) // self.length * self.length
        for start in range(0, full, self.length):
            held = self.rest.part(start, start + self.length)
            item = Item("", (self.tokenizer.decode(held.ids),))
            rows = [Row.of(held.ids[:1], held.ids[1:], self.written(held.part(1)))]
            key, said = seeded_hash(self.seed, held.ids), Tested(self.said(held), NOTHING, NOTHING)
            yield Example(key, item, rows, False, False, False, said)
        self.rest = self.rest.part(full)
        waiting = set(self.rest.texts)
        self.texts = {number: text for number, text in self.texts.items() if number in waiting}

    def written(self, row: _Stream) -> str:
        """The text of a row's tokens."""
        places: dict[int, tuple[int, int]] = {}
        for number, start, end in zip(row.texts, row.starts, row.ends, strict=True):
            places[number] = places.get(number, (start, end))[0], end
        return "".join(self.texts[number][start:end] for number, (start, end) in places.items())

    def said(self, row: _Stream) -> np.ndarray:
        """The words of a row, without those that it holds in part."""
        found = []
        for number in dict.fromkeys(row.texts):
            first = row.texts.index(number)
            last = first + row.texts.count(number)
            text, start, end = self.texts[number], row.starts[first], max(row.ends[first:last])
            while 0 < start < end and text[start - 1].isalnum() and text[start].isalnum():
                start += 1
            while start < end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
                end -= 1
            found += [words(text[start:end]), np.array([SEPARATOR], np.uint32)]
        return np.concatenate(found[:-1])

    def encode(self, item: Item) -> Example | None:
        """One example, or None (counted) where a choice is empty, unknown or does not fit.

        A choice's tokens are those that it has in running text, behind its prompt: all that hold
        some of it, a space before it included. Prompts are cut alike for all choices.
        """
        key = seeded_hash(self.seed, *item.key)
        given = shots(self.bank, item, key, self.few_shot)
        choices = [
            self.choice(given + item.prompt_of(number), choice)
            for number, choice in enumerate(item.choices)
        ]
        room = self.length - max((len(one.scored) for one in choices), default=0)
        cut = any(len(one.context) > room for one in choices)
        reasons = {
            "empty": not choices or not all(one.scored for one in choices),
            "too long": room < 1,
            "unknown answer": any(self.unknown in one.scored for one in choices),
            "cut prompt": cut and self.whole_prompts,
        }
        if reason := next((reason for reason, true in reasons.items() if true), None):
            self.drop(item, reason)
            return None
        rows = [
            Row.of(one.context[-room:], one.scored, choice.lstrip(), one.within(len(given)))
            for one, choice in zip(choices, item.choices, strict=True)
        ]
        starts = choices[item.gold].starts
        lost = cut and self.lost(item, given, starts[max(len(starts) - room, 0)])
        joined = any(one.joined for one in choices)
        return Example(key, item, rows, cut, lost, joined, tested(item))

    def choice(self, prompt: str, choice: str) -> _Choice:
        """The tokens of a prompt and a choice."""
        stem = len(prompt.rstrip(" "))
        found = tokens(self.tokenizer, prompt + choice)
        first = next((i for i, end in enumerate(found.ends) if end > stem), len(found.ids))
        joined = first < len(found.ids) and found.starts[first] < stem
        context = [self.end, *found.ids[:first]]
        return _Choice(context, [0, *found.starts[:first]], found.ids[first:], joined)

    def lost(self, item: Item, shots: str, begin: int) -> bool:
        """Whether the answer stands in the prompt, and no more in what is left of it."""
        prompt = item.prompt_of(item.gold)
        answers = [item.choices[item.gold].strip(), *item.others]
        seen = prompt[max(begin - len(shots), 0) :]
        there = [answer for answer in answers if answer in prompt]
        return bool(there) and not any(answer in seen for answer in there)


def shots(bank: Sequence[Item], item: Item, key: bytes, count: int) -> str:
    """So many answered items of a bank other than the item itself, drawn by its key."""
    others = [shot for shot in bank if shot != item]
    drawn = random.Random(key).sample(others, min(count, len(others)))
    return "".join(f"{s.prompt_of(s.gold)}{s.choices[s.gold]}{SHOT_DELIMITER}" for s in drawn)


def tested(item: Item) -> Tested:
    """The words of an item: of what is asked, of the right answer, of what is given."""
    asked = item.prompt_of(item.gold) if item.question is None else item.question
    return Tested(words(asked), words(item.choices[item.gold]), words(item.context))


def is_unicode(item: Item) -> bool:
    """Whether an item has no lone surrogates, as JSON may have: no tokenizer reads them."""
    try:
        "".join((item.prompt, *item.contexts, *item.choices)).encode()
    except UnicodeEncodeError:
        return False
    return True
