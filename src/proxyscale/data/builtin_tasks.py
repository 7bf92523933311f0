"""Test sets out of Python's own documents, in the image of SQuAD, LAMBADA, HellaSwag, TriviaQA.

Their records are held-out documents: source, name, text. What is shown of a document is shown as
it stands there, so that windows of its tokens can be found in the pool.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from proxyscale.data.raw_record import Dropped
from proxyscale.data.task_items import Item, Made, Record, Records, each, text_of
from proxyscale.registry import task

# A section that documents names with their types: numpydoc's, up to the next underlined title, and
# Google's, as far as it is indented.
SECTION = re.compile(
    r"^(?:Other )?(?:Parameters|Attributes|Returns|Yields)\n-{3,}\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)"
    r"|^(?:Args|Arguments|Attributes):\n((?:[ \t]+[^\n]*(?:\n|\Z)|\n)+)",
    re.M | re.S,
)
# "name : type" and "    name (type): …".
ENTRY = re.compile(
    r"^(\*{0,2}[A-Za-z_]\w*) ?: ?(\S[^\n]*)$|^[ \t]+(\*{0,2}[A-Za-z_]\w*) \(([^()\n]+)\):[^\n]*$",
    re.M,
)
# Where a type's description stops being the type.
TYPE_END = re.compile(r",? *(?:optional|default|\(|keyword|required|shape|of shape)")

# Words that end sentences without referring to anything.
COMMON = re.compile(
    "also|another|been|both|does|each|from|have|here|into|itself|more|most|only|other|otherwise|same|"
    "such|than|that|them|then|there|these|they|this|those|used|using|very|well|were|what|when|where|"
    "which|will|with|would",
    re.I,
)
LAST_WORD = re.compile(r"(?<=\S )([A-Za-z]{4,})(?=\.(?:\s|\Z))")

LOOKED_AT = 1000  # lines of code among which those that look like another are sought


@task
def parameters(
    records: Records, *, context: int = 200, questions: int = 4
) -> Iterator[Item | Dropped]:
    """Extractive questions on documented parameters: which type does a parameter have? (as SQuAD)

    A context is at most `context` characters of a section and has two types at least; at most
    `questions` are asked on it, and each answer is a span of it.
    """

    def make(record: Record) -> Made:
        for section in SECTION.finditer(text_of(record, "text")):
            for passage in _passages(section[1] or section[2], context):
                yield from _type_questions(passage, questions)

    return each(records, make)


def _passages(section: str, limit: int) -> Iterator[str]:
    """Runs of whole lines of at most `limit` characters, each begun by an entry."""
    start = 0
    while entry := ENTRY.search(section, start):
        end = entry.start() + limit
        end = len(section) if end >= len(section) else section.rfind("\n", entry.start(), end)
        if end <= entry.end():  # its description does not fit
            start = entry.end()
            continue
        yield section[entry.start() : end].rstrip()
        start = end


def _type_questions(passage: str, limit: int) -> Iterator[Item]:
    types = {}
    for entry in ENTRY.finditer(passage):
        name, told = entry[1] or entry[3], entry[2] or entry[4]
        if kind := TYPE_END.split(told, maxsplit=1)[0].strip(" ,.:`"):
            types[name.lstrip("*")] = kind
    if len(set(types.values())) < 2:
        return
    for name, kind in list(types.items())[:limit]:
        question = f"What type is {name}?"
        asked = f"Context: {passage}\nQuestion: {question}\nAnswer:"
        yield Item(asked, (f" {kind}",), 0, (), question, passage)


@task
def last_word(
    records: Records, *, passage: int = 280, minimum: int = 80
) -> Iterator[Item | Dropped]:
    """The last word of a passage that has the word earlier on, too (as LAMBADA).

    A passage is the end of a sentence and up to `passage` characters before it, whole lines of the
    same document; the word stands at least 20 characters before its end already, and passages of a
    document do not overlap.
    """

    def make(record: Record) -> Made:
        text, last = text_of(record, "text"), 0
        for match in LAST_WORD.finditer(text):
            start = _line_start(text, match.start() - passage, last)
            before = text[start : match.start()].lstrip(".\n")
            word = match[1]
            earlier = re.search(rf"\b{word}\b", before[:-20])
            if len(before) >= minimum and earlier and not COMMON.fullmatch(word):
                yield Item(before, (word,))
                last = match.end()

    return each(records, make)


def _line_start(text: str, place: int, least: int) -> int:
    """The first beginning of a line at or after `place`; not before `least`."""
    if place <= least:
        return least
    line = text.find("\n", place - 1)
    return place if line < 0 else line + 1


class _Line(NamedTuple):
    """A line of code, its words, and, where it can be asked for, the lines before it."""

    document: int
    line: str
    words: frozenset[str]
    context: str = ""
    where: str = ""

    @property
    def bare(self) -> str:
        """The line without what stands around it."""
        return self.line.strip()

    @property
    def shape(self) -> tuple[int, int]:
        """Its indentation and its length without that."""
        return len(self.line) - len(self.bare), len(self.bare)


@task
def next_line(
    records: Records,
    *,
    context: int = 240,
    choices: int = 4,
    per_document: int = 20,
    seed: int = 0,
) -> Iterator[Item | Dropped]:
    """The next line of code, among lines of other documents that look alike (as HellaSwag).

    The others have its indentation, a similar length and as large a share of words that the
    context has already, so that none of these gives the answer away. The context is whole lines of
    at most `context` characters; no choice stands in it. At most `per_document` lines are asked
    for, drawn by `seed`, as are distractors and the right place.
    """
    lines: list[_Line] = []
    known: dict[tuple[int, str], _Line] = {}
    for number, record in enumerate(records):
        found = list(_code_lines(number, record, context))
        if not found:
            yield Dropped(record.where, "nothing to ask")
        rng = random.Random(f"{seed} {record['name']}")
        lines += rng.sample(found, min(per_document, len(found)))
        for line in text_of(record, "text", blank=True).splitlines():
            if _askable(line):
                known.setdefault((number, line), _Line(number, line.rstrip(), words_of(line)))
    ranked = sorted(known.values(), key=lambda one: (one.shape, one.line))
    shapes = [one.shape for one in ranked]
    for one in lines:
        rng = random.Random(f"{seed} {one.context}{one.line}")
        column, length = one.shape
        first = bisect_left(shapes, (column, 0.85 * length))
        near = range(first, bisect_right(shapes, (column, 1.15 * length)))
        picks = (ranked[i] for i in rng.sample(near, min(len(near), LOOKED_AT)))
        others = _distractors(one, picks, choices - 1)
        if len(others) == choices - 1:
            gold = rng.randrange(choices)
            lines_shown = (*others[:gold], one.line, *others[gold:])
            yield Item(one.context, lines_shown, gold, where=one.where)
        else:
            yield Dropped(one.where, "too few lines to choose from")


def words_of(text: str) -> frozenset[str]:
    """The different words of a text: names, keywords, numbers."""
    return frozenset(re.findall(r"\w+", text))


def _askable(line: str) -> bool:
    """Whether a line can be a choice: code of some length; comments are passed over."""
    bare = line.strip()
    return 16 <= len(bare) <= 70 and re.match(r"[A-Za-z_@]", bare) is not None


def _code_lines(document: int, record: Record, limit: int) -> Iterator[_Line]:
    """Lines of code whose contexts do not overlap."""
    text, place, start = text_of(record, "text", blank=True), 0, 0
    for line in text.splitlines(keepends=True):
        before = text[_line_start(text, place - limit, start) : place]
        if _askable(line) and len(before) >= limit // 2 and line.strip() not in before:
            yield _Line(document, line.rstrip(), words_of(line), before, record.where)
            start = place + len(line)
        place += len(line)


def _distractors(one: _Line, picks: Iterable[_Line], count: int) -> list[str]:
    """The first `count` different lines of other documents that are not in the context, and whose
    words stand in it to the same share."""
    given = words_of(one.context)
    own, size = len(one.words & given), len(one.words)
    chosen: dict[str, str] = {one.bare: one.line}
    for other in picks:
        if len(chosen) > count:
            break
        alike = len(other.words & given) * size == own * len(other.words)
        if alike and other.document != one.document and other.bare not in one.context:
            chosen.setdefault(other.bare, other.line)
    return list(chosen.values())[1:]


@task
def summary(records: Records, *, minimum: int = 15, maximum: int = 160) -> Iterator[Item | Dropped]:
    """What does this function do? Its docstring's summary, closed-book (as TriviaQA).

    The summary is the docstring's first paragraph, of one or two lines and `minimum` to `maximum`
    characters; the document's name ("package/file.py:object") becomes the dotted name.
    """

    def make(record: Record) -> Made:
        first = re.split(r"\n\s*\n", text_of(record, "text").strip(), maxsplit=1)[0]
        prose = re.match(r"[A-Z`*]", first) and not re.search(r"-{3,}|>>>|:: *$", first)
        if prose and first.count("\n") <= 1 and minimum <= len(first) <= maximum:
            question = f"What does {dotted_name(record)} do?"
            yield Item(f"Question: {question}\nAnswer:", (f" {first}",), 0, (), question)

    return each(records, make)


def dotted_name(record: Mapping[str, Any]) -> str:
    """The public-looking name of what a docstring document documents: scipy.linalg.norm."""
    file, _, thing = text_of(record, "name").rpartition(":")
    parts = file.removesuffix(".py").split("/")
    folders = [part for part in parts if part and not part.startswith("_")]
    return ".".join([*folders, *([] if thing == "module" else [thing])])
