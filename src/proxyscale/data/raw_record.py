"""What a reader gives: one record's fields, or what was dropped and why."""

from __future__ import annotations

from typing import Any, NamedTuple


class Dropped(NamedTuple):
    """What is not used: where it stands ("file:line") and why.

    `broken` is what cannot be used as it is, rather than what was sorted out; `keys` are those
    that stand where one was looked for.
    """

    name: str
    reason: str
    broken: bool = False
    keys: tuple[str, ...] = ()


class Record(NamedTuple):
    """One record's fields, and where it stands ("file:line", the file below its common folder)."""

    name: str
    fields: dict[str, Any]


def printable(name: str) -> str:
    """A name that can be written as UTF-8: bytes of a file's name that are not stand as \\xff."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def encodable(value: Any) -> bool:
    """Whether no text in a value, at any depth, has lone surrogates: of undecodable bytes, or
    escaped in JSON."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    elif isinstance(value, dict):
        return all(encodable(key) and encodable(one) for key, one in value.items())
    elif isinstance(value, list | tuple):
        return all(map(encodable, value))
    return True


def not_text(value: Any) -> str:
    """What a value is that should have been text."""
    words = {
        type(None): "null",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
        bytes: "bytes",
    }
    return f"{words.get(type(value), type(value).__name__)}, not text"
