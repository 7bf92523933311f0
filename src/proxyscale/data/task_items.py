"""What test sets are made of: items, and what a task kind needs to make them out of records.

A task kind is one function from records to items. What it cannot use it passes on as `Dropped`, so
that every record is accounted for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.data.raw_record import Dropped, not_text


@dataclass(frozen=True)
class Item:
    """What is asked: a prompt, the choices that may follow it, the index of the right one.

    One choice is a scored continuation. One choice without a prompt is a whole text: texts are
    packed one after the other into rows of the pool's length. `contexts`, if any, are one prompt
    for each choice. `question` is what of the prompt is asked, where that is not all of it;
    `context` what is given with it; `others` are further right answers; `where` is the record.
    """

    prompt: str
    choices: tuple[str, ...]
    gold: int = 0
    contexts: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    question: str | None = dataclasses.field(default=None, repr=False, compare=False)
    context: str = dataclasses.field(default="", repr=False, compare=False)
    others: tuple[str, ...] = dataclasses.field(default=(), repr=False, compare=False)
    where: str = dataclasses.field(default="", repr=False, compare=False)

    @property
    def whole_text(self) -> bool:
        """Whether it is a text to be packed."""
        return not self.prompt and not self.contexts and len(self.choices) == 1

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from other items."""
        return (self, *self.contexts)

    def prompt_of(self, choice: int) -> str:
        """What stands before a choice."""
        return self.contexts[choice] if self.contexts else self.prompt


class Record(dict[str, Any]):
    """A record that knows where it stands, so that a mistake in it can be found."""

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        super().__init__(fields)
        self.where = where


Records = Iterable[Record]
Made = Iterable[Item | Dropped]


class Unfit(UserError):
    """A record that cannot be used as it is."""


def seeded_hash(seed: int, *parts: object) -> bytes:
    """A seeded hash of what is shown by `repr`: the order of examples, and their identity."""
    shown = repr((seed, *parts)).encode(errors="backslashreplace")
    return hashlib.blake2b(shown, digest_size=16).digest()


def each(records: Records, make: Callable[[Record], Made]) -> Iterator[Item | Dropped]:
    """The items that `make` finds in every record; records that do not fit, or have none."""
    for record in records:
        try:
            made = list(make(record))
        except Unfit as error:
            yield Dropped(record.where, error.message, True, tuple(error.allowed))
            continue
        for one in made:
            if isinstance(one, Item) and not one.where:
                yield dataclasses.replace(one, where=record.where)
            else:
                yield one
        if not made:
            yield Dropped(record.where, "nothing to ask")


def misfit(record: Mapping[str, Any], message: str, **facts: Any) -> Unfit:
    """The mistake of a record, to be raised."""
    return Unfit(message, where=getattr(record, "where", "a record"), **facts)


def take(record: Mapping[str, Any], path: str) -> Any:
    """A record's field, or one inside it: `answer`, `answer.value`, `answers[text][0]`.

    Unfit if there is none, naming the keys that stand at its level.
    """
    if path in record:
        return record[path]
    value: Any = record
    for key in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            whole = f" for {path!r}" if key != path else ""
            there = value if isinstance(value, Mapping) else ()
            raise misfit(record, f"has no field {key!r}{whole}", value=key, allowed=there)
    return value


def text_of(record: Mapping[str, Any], path: str, blank: bool = False) -> str:
    """A field that is text, as it stands. Unfit if it is none, or has nothing but white space
    although it may not be `blank`."""
    return as_text(record, path, take(record, path), blank)


def as_text(record: Mapping[str, Any], path: str, value: Any, blank: bool = False) -> str:
    """The value of a field, if it is text."""
    if not isinstance(value, str):
        raise misfit(record, f"{path!r} is {not_text(value)}")
    if not blank and not value.strip():
        raise misfit(record, f"{path!r} is empty")
    return value


def texts_of(record: Mapping[str, Any], path: str) -> list[str]:
    """The texts that a field lists, none of them blank, without white space around."""
    value = take(record, path)
    if not isinstance(value, list):
        raise misfit(record, f"{path!r} is no list of texts")
    return [as_text(record, path, one).strip() for one in value]


def check_template(template: str) -> None:
    """UserError if a template is none, or has a field without a name."""
    hint = "a field is {name}; write braces that are meant twice: {{ }}"
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template)]
    except ValueError as error:
        raise UserError(f"no template: {template!r}: {error}", hint=hint) from None
    if "" in fields:
        raise UserError(f"a field without a name in {template!r}", hint=hint)


class Filled(string.Formatter):
    """A template in Python's format syntax filled with a record's fields, and what they held.

    A field is text, unless the template says how to write it: {year!s}, {share:.2f}. Of a list of
    answers the first one counts, where `answers` are wanted. Unfit if it does not fit.
    """

    def __init__(self, template: str, record: Mapping[str, Any], answers: bool = False) -> None:
        self.record, self.answers = record, answers
        self.values: dict[str, str] = {}
        self.others: tuple[str, ...] = ()
        try:
            self.text = self.vformat(template, (), record)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            message = f"the template {template!r} does not fit: {error}"
            raise misfit(record, message) from None

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        self.path = field_name
        return take(self.record, field_name), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        path = self.path
        if format_spec:
            written = str(super().format_field(value, format_spec))
        elif self.answers:
            written, *others = answers_of(self.record, path, value)
            self.others = tuple(others)
        else:
            written = as_text(self.record, path, value)
        self.values[path] = written
        return written


def answers_of(record: Mapping[str, Any], path: str, value: Any) -> list[str]:
    """The answers of a field, text or a list of texts, without white space around."""
    if not isinstance(value, list):
        return [as_text(record, path, value).strip()]
    texts = [one.strip() for one in value if isinstance(one, str) and one.strip()]
    if not texts:
        raise misfit(record, f"{path!r} has no answer that is text")
    return list(dict.fromkeys(texts))


class Counted(int):
    """A right choice by its number, of which is not known yet whether it is counted from 0 or 1."""


def gold_of(
    record: Mapping[str, Any],
    path: str,
    choices: Sequence[str],
    labels: Sequence[str] | None = None,
) -> int:
    """The right choice, from a record's field: its number, its label, its letter or its text.

    A number comes out as `Counted`. Unfit if it is none of these.
    """
    value = take(record, path)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        word = value.strip()
        if labels is not None and word in labels:
            return labels.index(word)
        if re.fullmatch(r"[+-]?\d+", word):
            return Counted(word)
        if word in choices and choices.count(word) == 1:
            return choices.index(word)
        letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".find(word.strip("().").upper() or "?")
        if len(word.strip("().")) == 1 and 0 <= letter < len(choices):
            return letter
    elif isinstance(value, int | float) and value == int(value):
        return Counted(value)
    raise misfit(record, f"{path!r} is no index of a choice: {value!r}")


def numbered(made: Made, first: int | None) -> Iterator[Item | Dropped]:
    """Items whose right choices are numbers, these counted from `first`.

    Where nobody says, a 0 tells that they are counted from 0, and one as high as there are choices
    that they are counted from 1; if neither comes, from 0. UserError if both come.
    """
    told, held = first is not None, list[Item]()
    for one in made:
        if not isinstance(one, Item) or not isinstance(one.gold, Counted):
            yield one
            continue
        if first is None and one.gold in (0, len(one.choices)):
            first = 0 if one.gold == 0 else 1
        if first is None:
            held.append(one)
            continue
        if first == 1 and one.gold == 0 and not told:
            message = f"right choices are counted from 0 here and from 1 before: {one.where}"
            raise UserError(message, hint="say which: first_label: 0 or 1")
        yield from (_renumbered(item, first) for item in [*held, one])
        held.clear()
    yield from (_renumbered(item, first or 0) for item in held)


def _renumbered(item: Item, first: int) -> Item | Dropped:
    gold, count = int(item.gold) - first, len(item.choices)
    if 0 <= gold < count:
        return dataclasses.replace(item, gold=gold)
    reason = f"the right choice is {item.gold:d}, but there are {count} choices"
    return Dropped(item.where, reason, broken=True)
