"""The door: commands for people, and a verb for every rule. Parse, call, print.

proxyscale COMMAND --flag value …
python -m proxyscale VERB --flag value …
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from proxyscale.base import devices, ending, lock
from proxyscale.base.errors import DiskFull, UserError, is_full
from proxyscale.base.progress import duration, logged, note_duration
from proxyscale.base.verbs import COMMANDS, VERBS, Registered
from proxyscale.cli import (
    commands,  # noqa: F401 (it registers)
    decision_verbs,  # noqa: F401
    table_verbs,  # noqa: F401
)
from proxyscale.cli import verbs as rule_verbs  # noqa: F401
from proxyscale.vision import verbs as vision_verbs  # noqa: F401

WORDS: Registered = {**COMMANDS, **VERBS}


def parser() -> argparse.ArgumentParser:
    """All commands and verbs, told apart, and their flags."""
    groups = _listed("commands, for people", COMMANDS), _listed("verbs, for rules", VERBS)
    top = argparse.ArgumentParser(
        prog="proxyscale",
        description="Do small models tell you what data will do to a large one?",
        epilog="\n\n".join(groups),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = top.add_subparsers(dest="word", required=True, metavar="WORD", help="one of these:")
    for name, (function, flags) in WORDS.items():
        sub = words.add_parser(
            name,
            description=inspect.cleandoc(function.__doc__ or ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--log", help="also write what is said to this file")
        sub.add_argument("--gpus", type=int, default=0, help="take so many slots of GPUs here")
        for flag in flags:
            _add(sub, flag)
    return top


def _listed(title: str, registered: Registered) -> str:
    """A heading, and a line for every word."""
    rows = [
        (f"  {name}", inspect.cleandoc(function.__doc__ or "").partition("\n")[0])
        for name, (function, _) in registered.items()
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join([f"{title}:", *(f"{name:<{width}}  {told}" for name, told in rows)])


def _add(sub: argparse.ArgumentParser, flag: str) -> None:
    """A flag as `verb` tells it."""
    if flag.endswith("*"):
        sub.add_argument(flag.rstrip("*"), nargs="*")
        return
    options: dict[str, Any] = {"required": not flag.endswith("?")}
    if flag.endswith(("=", "+")):
        options |= {"metavar": "VALUE", "default": [], "required": False}
        options["action"] = "append" if flag.endswith("=") else "extend"
    if flag.endswith("+"):
        options["nargs"] = "*"
    elif flag.endswith("?"):
        options["nargs"] = "?"
    sub.add_argument(f"--{flag.rstrip('=+?')}", **options)


def spelled_out(argv: list[str]) -> list[str]:
    """The command line with the lines of a file in the place of every `--arguments FILE`."""
    words = iter(argv)
    found: list[str] = []
    for word in words:
        file = next(words, None) if word == "--arguments" else None
        found += [word] if file is None else Path(file).read_text("utf-8").split("\n")
    return found


def main(argv: list[str] | None = None) -> int:
    """Run one command or verb. Exit code 0; 2 for a user's mistake, told without a traceback."""
    args = parser().parse_args(spelled_out(sys.argv[1:] if argv is None else argv))
    with ExitStack() as stack:
        start, used = time.monotonic(), time.process_time()
        try:
            if args.log:
                stack.enter_context(logged(Path(args.log)))
            lock.join(parent_dies=True)
            devices.take(args.gpus)
            told = WORDS[args.word][0](args)
        except Exception as error:
            return _failed(args.word, error)
        took = time.monotonic() - start
        if told:
            # in one piece, so that the lines of jobs side by side stay whole
            sys.stderr.write(f"{args.word} {told} · {duration(took)}\n")
    if args.log:
        with contextlib.suppress(OSError):
            note_duration(Path(args.log), took, time.process_time() - used)
    return 0


def _failed(word: str, error: Exception) -> int:
    """Tell of an error; the exit code."""
    if not isinstance(error, UserError) and is_full(error):
        error = DiskFull(getattr(error, "filename", None) or Path.cwd())
    if not isinstance(error, UserError):
        traceback.print_exception(error)
        return 1
    print(f"proxyscale {word}: {error}", file=sys.stderr)
    with contextlib.suppress(OSError):
        lock.note_mistake()
    if isinstance(error, DiskFull):
        ending.end_workflow()
    return 2
