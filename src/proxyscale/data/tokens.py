"""Text to tokens: a long text gives those of the whole, whatever the tokenizer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.packing import END

if TYPE_CHECKING:
    from tokenizers import Tokenizer

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread a process: Snakemake counts cores

CHUNK = 1 << 16  # characters tokenized as one: a tokenizer's memory is a hundred times its text
OVERLAP = 1 << 11  # characters that two such pieces share
AGREEING = 8  # tokens in which two pieces agree on either side of where they are joined


def parse(text: str, where: Path) -> Tokenizer:
    """A tokenizer out of its JSON. UserError if it is none."""
    from tokenizers import Tokenizer  # what reads tables does without

    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"not a tokenizer.json: {error}", where=str(where)) from None


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer as everything here uses it: special tokens written in a text are plain text."""
    tokenizer = parse(json.dumps(artifacts.read_json(path)), path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def unknown_id(tokenizer: Tokenizer) -> int | None:
    """The id of the token for what the tokenizer does not know, if it has one."""
    word = getattr(tokenizer.model, "unk_token", None)
    if word is not None:
        found: int | None = tokenizer.model.token_to_id(word)
        return found
    number: int | None = json.loads(tokenizer.to_str())["model"].get("unk_id")
    return number


def knows_all(tokenizer: Tokenizer) -> bool:
    """Whether there is a token for every text: one for the unknown, or those of all bytes."""
    from tokenizers import pre_tokenizers

    if unknown_id(tokenizer) is not None:
        return True
    told = json.loads(tokenizer.to_str())
    if told["model"]["type"] != "BPE":
        return False
    words = told["model"]["vocab"]
    if told["model"].get("byte_fallback") and all(f"<0x{n:02X}>" in words for n in range(256)):
        return True
    steps = json.dumps([told["pre_tokenizer"], told["normalizer"]])
    return '"ByteLevel"' in steps and words.keys() >= set(pre_tokenizers.ByteLevel.alphabet())


def vocabulary_size(told: dict[str, Any]) -> int:
    """The highest id of a tokenizer's JSON plus one, END added. KeyError and such if it is none."""
    words, added = told["model"]["vocab"], told["added_tokens"]
    if isinstance(words, dict):
        known = words.keys() | {token["content"] for token in added}
        highest = max([*words.values(), *(token["id"] for token in added)], default=-1)
    else:
        known = {word for word, _ in words} | {token["content"] for token in added}
        highest = len(known) - 1
    return highest + 1 + (END not in known)


class Tokens(NamedTuple):
    """Tokens, and the characters of the text that each one stands for."""

    ids: list[int]
    starts: list[int]
    ends: list[int]

    def part(self, first: int, last: int | None = None) -> Tokens:
        """The tokens from one on, up to another."""
        return Tokens(*(column[first:last] for column in self))


def tokens(tokenizer: Tokenizer, text: str) -> Tokens:
    """All tokens of a text."""
    found = Tokens([], [], [])
    for piece in pieces(tokenizer, text):
        for column, more in zip(found, piece, strict=True):
            column.extend(more)
    return found


def pieces(tokenizer: Tokenizer, text: str) -> Iterator[Tokens]:
    """A text's tokens, some at a time: those that it has when it is tokenized at once.

    Pieces of the text overlap and are joined where they agree, so that neither a piece's beginning
    nor its end shows: what a tokenizer puts before a text, a word cut in two. Pieces that do not
    agree (a run of one character, a word as long as a piece) become one.
    """
    begin, end = 0, CHUNK
    left, taken = _encode(tokenizer, text, begin, end), 0
    while end < len(text):
        follow = end - OVERLAP
        right = _encode(tokenizer, text, follow, follow + CHUNK)
        joint = _joint(left, right, follow + OVERLAP // 2)
        if joint is None:
            done = left.starts[taken] if taken else 0
            end += CHUNK
            left = _encode(tokenizer, text, begin, end)
            taken = next((i for i, s in enumerate(left.starts) if s >= done), 0) if taken else 0
            continue
        yield left.part(taken, joint[0])
        left, taken = right, joint[1]
        begin, end = follow, follow + CHUNK
    yield left.part(taken)


def _encode(tokenizer: Tokenizer, text: str, begin: int, end: int) -> Tokens:
    encoding = tokenizer.encode(text[begin:end], add_special_tokens=False)
    offsets = encoding.offsets
    return Tokens(encoding.ids, [begin + a for a, _ in offsets], [begin + b for _, b in offsets])


def _joint(left: Tokens, right: Tokens, middle: int) -> tuple[int, int] | None:
    """Where two pieces agree, nearest to the middle of what they share: a token's place in each."""
    first = next((i for i, start in enumerate(left.starts) if start >= right.starts[0]), None)
    if first is None or not right.ids:
        return None
    places = {key: place for place, key in enumerate(zip(*right, strict=True))}
    keys = list(zip(*left.part(first), strict=True))
    order = sorted(range(AGREEING, len(keys) - AGREEING), key=lambda i: abs(keys[i][1] - middle))
    for i in order:
        j = places.get(keys[i], -1)
        if j < AGREEING:
            continue
        own = range(i - AGREEING, i + AGREEING)
        other = range(j - AGREEING, j + AGREEING)
        if all(places.get(keys[a]) == b for a, b in zip(own, other, strict=True)):
            return first + i, j
    return None
