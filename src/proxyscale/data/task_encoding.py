"""Items in tokens: prompt and choices apart, whole texts packed, few-shot examples in front."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tokenizers import Tokenizer

from proxyscale.data import overlap
from proxyscale.data.packing import END
from proxyscale.data.pool import chunks
from proxyscale.data.task_items import Item, seeded_hash

SHOT_DELIMITER = "\n"


class Example(NamedTuple):
    """An item in tokens. `key` orders the examples and tells equal ones."""

    key: bytes
    item: Item
    context: list[int]
    continuations: list[list[int]]
    cut: bool
    tested: overlap.Tested  # what must not stand in the pool, few-shot examples aside


class Coder:
    """Items to examples, for one split; counts what it cannot use."""

    def __init__(self, tokenizer: Tokenizer, length: int, seed: int, few_shot: int = 0) -> None:
        end = tokenizer.token_to_id(END)
        assert end is not None, "build_tokenizer adds it"
        self.tokenizer = tokenizer
        self.end = end
        self.length = length
        self.seed = seed
        self.few_shot = few_shot
        self.bank: list[Item] = []
        self.rest: list[int] = []
        self.counts: Counter[str] = Counter()

    def __call__(self, items: Iterable[Item]) -> Iterator[Example]:
        for item in items:
            self.counts["items"] += 1
            if not is_unicode(item):
                self.counts["not_unicode"] += 1
            elif item.whole_text:
                yield from self.pack(item.choices[0])
            elif (example := self.encode(item)) is not None:
                yield example
        self.counts["tokens_left_over"] = len(self.rest)

    def tokens(self, text: str) -> list[int]:
        """A text's tokens, a piece at a time."""
        encoded = (self.tokenizer.encode(p, add_special_tokens=False) for p in chunks(text))
        return [token for encoding in encoded for token in encoding.ids]

    def pack(self, text: str) -> Iterator[Example]:
        """Rows of `length` tokens out of the texts so far, the document end before each text."""
        tokens = [*self.rest, self.end, *self.tokens(text)]
        full = len(tokens) // self.length * self.length
        self.rest = tokens[full:]
        for start in range(0, full, self.length):
            row = tokens[start : start + self.length]
            item = Item("", (self.tokenizer.decode(row),))
            tested = overlap.Tested(row, [])
            yield Example(seeded_hash(self.seed, row), item, row[:1], [row[1:]], False, tested)

    def encode(self, item: Item) -> Example | None:
        """One example, or None (counted) where a choice is empty or does not fit.

        Prompt and choices are tokenized apart, so that the scored tokens are the choice's alone; a
        space between them belongs to the choice. All choices of an item see the same context.
        """
        key = seeded_hash(self.seed, item)
        stem = item.prompt.rstrip(" ")
        choices = [self.tokens(item.prompt[len(stem) :] + choice) for choice in item.choices]
        room = self.length - max(map(len, choices), default=0)
        if not all(choices) or room < 1:
            self.counts["too_long" if room < 1 else "empty"] += 1
            return None
        context = [self.end, *self.tokens(self.shots(item, key) + stem)]
        gold = choices[item.gold]
        tested = overlap.Tested(self.tokens(stem) + gold, gold)
        return Example(key, item, context[-room:], choices, len(context) > room, tested)

    def shots(self, item: Item, key: bytes) -> str:
        """`few_shot` answered target items other than the item itself, drawn by its key."""
        others = [shot for shot in self.bank if shot != item]
        drawn = random.Random(key).sample(others, min(self.few_shot, len(others)))
        return "".join(f"{s.prompt}{s.choices[s.gold]}{SHOT_DELIMITER}" for s in drawn)


def is_unicode(item: Item) -> bool:
    """Whether an item has no lone surrogates, as JSON may have: no tokenizer reads them."""
    try:
        "".join((item.prompt, *item.choices)).encode()
    except UnicodeEncodeError:
        return False
    return True
