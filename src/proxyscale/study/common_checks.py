"""What holds for a study of every kind: its folder of results, its names, its number of runs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from proxyscale.base.errors import UserError
from proxyscale.study.config import StudyConfig

MOST_RUNS = 1_000_000  # of all scales, distributions, draws and seeds together
OWN = ("envs", "profiles", "rules", "src", "tests", "workflow")  # folders of the workflow itself


def mistakes(config: StudyConfig) -> Iterator[UserError]:
    """What can be told without knowing what the study is of."""
    yield from _results(config.results)
    yield from _names(config)


def too_many(count: int) -> Iterator[UserError]:
    """More runs than a graph can hold."""
    if count > MOST_RUNS:
        message = f"these are {count:,} runs, and more than {MOST_RUNS:,} cannot be planned"
        yield UserError(message, where="seeds", hint="fewer distributions, draws, seeds or scales")


def _results(results: str) -> Iterator[UserError]:
    """A place that cannot be a folder of results."""
    wrong = _unfit(Path(results))
    if wrong:
        yield UserError(wrong, where="results", value=results, hint="name a folder of its own")


def _unfit(path: Path) -> str:
    text = str(path)
    if text.startswith("~") or "$" in text:
        return f"is {text!r}: the path is wanted in full"
    if any(mark in text for mark in "{}*?\"'") or not text.isprintable():
        return f"is {text!r}: braces, quotes, wildcards and control characters cannot be in it"
    if any(len(os.fsencode(part)) > 100 for part in path.parts):
        return f"is {text[:40]!r}…: a name in it is longer than 100 bytes"
    try:
        here, place = Path.cwd().resolve(), path.resolve()
        if place == here or place in here.parents:
            return f"is {text!r}, which holds the study itself"
        if place == Path.home().resolve():
            return f"is {text!r}, which is a home"
        if place.is_relative_to(here) and place.relative_to(here).parts[0] in OWN:
            return f"is {text!r}, which is a folder of the workflow"
        for part in (path, *path.parents):
            if part.is_symlink() and not part.exists():
                return f"is {text!r}, and {part} is a link that leads nowhere"
        there = next(p for p in (place, *place.parents) if p.exists())
        if not there.is_dir():
            return f"is {text!r}, and {there} is a file"
        if not os.access(there, os.W_OK | os.X_OK):
            return f"is {text!r}, and {there} cannot be written to"
    except (OSError, RuntimeError) as error:
        return f"is {text!r}: {error}"
    return ""


def _names(config: StudyConfig) -> Iterator[UserError]:
    """Names of one section that are one file where case does not count."""
    for section in ("sources", "tasks", "distributions", "scales", "groups"):
        alike: dict[str, list[str]] = defaultdict(list)
        entries = getattr(config, section, None)
        for name in entries if isinstance(entries, Mapping) else ():
            alike[name.casefold()].append(name)
        for names in alike.values():
            if len(names) > 1:
                told = " and ".join(names)
                yield UserError(f"{told} differ in case alone, as files need not", where=section)
