"""How the words of the command line are registered: commands for people, verbs for rules."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

Arguments = argparse.Namespace
Told = str | None  # what a job leaves to say, if its progress has not said it
Registered = dict[str, tuple[Callable[[Arguments], Told], tuple[str, ...]]]
COMMANDS: Registered = {}
VERBS: Registered = {}
Function = TypeVar("Function", bound=Callable[[Arguments], Told])


def command(*flags: str) -> Callable[[Function], Function]:
    """Register a command for people with its flags, as `verb` tells them."""
    return _into(COMMANDS, flags)


def verb(*flags: str) -> Callable[[Function], Function]:
    """Register the verb of a rule with its flags: `name=` may be repeated, `name+` takes many,
    `name?` may be left out or have no value, `name!` has none, `name*` is positional. `: ` and what
    it is may follow.

    What does its work is imported inside the function: the digest of the rule's code is of that,
    and of the function itself but for what it returns, which is only said.
    """
    return _into(VERBS, flags)


def _into(registered: Registered, flags: tuple[str, ...]) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        registered[function.__name__] = (function, flags)
        return function

    return register


def pairs(values: Iterable[str]) -> dict[str, Path]:
    """`["a=x", "b=y"]` as a mapping to paths; of a manifest, the name and path of its folder."""
    named = (value.partition("=") for value in values)
    return {key if sep else folder(key).name: folder(path or key) for key, sep, path in named}


def listed(values: Iterable[str]) -> dict[str, list[Path]]:
    """`["a=x", "a=y"]` as a mapping to lists of paths."""
    found: dict[str, list[Path]] = defaultdict(list)
    for key, _, path in (value.partition("=") for value in values):
        found[key].append(Path(path))
    return found


def folder(path: str) -> Path:
    """A folder, named itself or by its manifest: the manifest is what Snakemake knows it by."""
    found = Path(path)
    return found.parent if found.name == "manifest.json" else found
