"""Tests read nothing that a study has left in the checkout."""

from __future__ import annotations

import os
import sys
from typing import Any

from support.paths import ROOT

LEFT = os.path.join(ROOT, "results")
READING = frozenset({"open", "os.listdir", "os.scandir"})


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in READING or not arguments or not isinstance(arguments[0], str | os.PathLike):
        return
    given = os.fsdecode(arguments[0])
    if event == "open" and arguments[1] is None and not os.path.isabs(given):
        return  # os.open: relative to a folder the event does not tell, as in shutil.rmtree
    try:
        path = os.path.abspath(given)
    except FileNotFoundError:  # the working folder is gone
        return
    if path == LEFT or path.startswith(LEFT + os.sep):
        raise AssertionError(f"a test reads what a study has left: {path}")


def guard() -> None:
    """From now on this process reads nothing in the checkout's results."""
    sys.addaudithook(_refuse)
