"""Engines that a study names: known ones, or commands with what can be filled in."""

from __future__ import annotations

import os
import shlex
import string
from collections.abc import Iterator

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.study.config import Config
from proxyscale.study.config_models import EngineCommand
from proxyscale.study.option_checks import named

FILLED = ("data", "order", "spec", "out")
NEEDED = ("data", "out")


def mistakes(config: Config) -> Iterator[UserError]:
    """Engines of the study and of its scales that are not known, or cannot be called."""
    said = {"training.engine": config.training.engine}
    said |= {
        f"scales.{name}.engine": scale.model_dump()["engine"]
        for name, scale in config.scales.items()
    }
    for where, engine in said.items():
        if isinstance(engine, EngineCommand):
            yield from _command(f"{where}.command", engine.command)
        elif isinstance(engine, dict):
            yield from _command(f"{where}.command", engine["command"])
        elif engine is not None:
            known = [*registry.ENGINES, *registry.engine.functions]
            yield from named(where, engine, list(dict.fromkeys(known)), "engine")


def _command(where: str, command: str) -> Iterator[UserError]:
    """A command that cannot be parted into words, or says what nothing fills in."""
    try:
        words = shlex.split(command)
        fields = [
            f for word in words for _, f, *_ in string.Formatter().parse(word) if f is not None
        ]
    except ValueError as error:
        yield UserError(f"is {command!r}: {error}", where=where)
        return
    for field in fields:
        if field not in FILLED:
            message, hint = f"nothing fills in {{{field}}}", "braces of its own are doubled: {{…}}"
            yield UserError(message, where=where, value=field, allowed=FILLED, hint=hint)
    for field in NEEDED:
        if field not in fields:
            yield UserError(f"has no {{{field}}}", where=where, value=command)


def files(command: str) -> list[str]:
    """The files that a command names: when one of them changes, what it trained is stale."""
    return [
        word
        for word in shlex.split(command)
        if os.path.isfile(word) and not os.access(word, os.X_OK)
    ]
