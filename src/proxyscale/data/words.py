"""Words of a text as numbers: what copies are found by, whatever the tokenizer and the layout."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import numpy as np

SEPARATOR = 0  # stands after every document, and for no word
HELD = 1 << 20  # words whose hashes are kept, so that few are hashed twice

# Scripts that part no words: a character is a word.
HAN_AND_KANA = "\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
THAI_TO_KHMER = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
UNPARTED = HAN_AND_KANA + THAI_TO_KHMER
PLAIN = re.compile(r"[a-z0-9]+")
WORD = re.compile(rf"[^\W_{UNPARTED}]+|[{UNPARTED}](?<=\w)")


class _Hashes(dict[str, int]):
    """The hash of every word asked for, u32 and never SEPARATOR."""

    def __missing__(self, word: str) -> int:
        if len(self) >= HELD:
            self.clear()
        digest = hashlib.blake2b(word.encode(errors="replace"), digest_size=4).digest()
        found = self[word] = int.from_bytes(digest, "little") or 1
        return found


_hashes = _Hashes()


def split(text: str) -> list[str]:
    """The words of a text: its letters and digits in lower case, all else parts them."""
    if text.isascii():
        return PLAIN.findall(text.lower())
    return WORD.findall(unicodedata.normalize("NFKC", text).lower())


def words(text: str) -> np.ndarray:
    """A hash of each word of a text, u32 [words]: equal words have equal ones."""
    found = split(text)
    return np.fromiter(map(_hashes.__getitem__, found), np.uint32, len(found))


def around(passage: str, answer: str, start: int | None, limit: int) -> str:
    """Whole words of a passage, at most `limit` characters and the answer at least.

    Where the answer is not found where it is told to begin, it is where it first stands.
    """
    if start is None or not passage.startswith(answer, start):
        start = max(passage.find(answer), 0)
    end = min(start + len(answer), len(passage))
    room = max(limit - (end - start), 0)
    first = max(min(start - room // 2, len(passage) - limit), 0)
    last = min(max(first + limit, end), len(passage))
    while 0 < first < start and not passage[first - 1].isspace():
        first += 1
    while end < last < len(passage) and not passage[last].isspace():
        last -= 1
    return passage[first:last].strip()
