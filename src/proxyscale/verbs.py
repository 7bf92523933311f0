"""How verbs are registered, and what several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

Arguments = argparse.Namespace
Told = str | None  # what a job leaves to say, if its progress has not said it
VERBS: dict[str, tuple[Callable[[Arguments], Told], tuple[str, ...]]] = {}
Verb = TypeVar("Verb", bound=Callable[[Arguments], Told])


def verb(*flags: str) -> Callable[[Verb], Verb]:
    """Register a verb with its flags: `name=` may be repeated, `name?` may be left out, `name*` is
    positional."""

    def register(function: Verb) -> Verb:
        VERBS[function.__name__] = (function, flags)
        return function

    return register


def pairs(values: Iterable[str]) -> dict[str, Path]:
    """`["a=x", "b=y"]` as a mapping to paths."""
    return {key: Path(path) for key, _, path in (value.partition("=") for value in values)}
