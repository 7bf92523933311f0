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
    """Register a verb with its flags: `name=` may be repeated, `name+` takes many, `name?` may be
    left out or have no value, `name*` is positional."""

    def register(function: Verb) -> Verb:
        VERBS[function.__name__] = (function, flags)
        return function

    return register


def pairs(values: Iterable[str]) -> dict[str, Path]:
    """`["a=x", "b=y"]` as a mapping to paths; of a manifest, the name and path of its folder."""
    named = (value.partition("=") for value in values)
    return {key if sep else folder(key).name: folder(path or key) for key, sep, path in named}


def folder(path: str) -> Path:
    """A folder, named itself or by its manifest: the manifest is what Snakemake knows it by."""
    found = Path(path)
    return found.parent if found.name == "manifest.json" else found
