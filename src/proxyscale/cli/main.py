"""The door: commands for people, and a verb for every rule. Parse, call, print.

proxyscale COMMAND --option value …
python -m proxyscale VERB --option value …
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from proxyscale import __version__
from proxyscale.base import devices, ending, lock
from proxyscale.base.errors import DiskFull, UserError, is_full
from proxyscale.base.extras import missing
from proxyscale.base.progress import cpu_seconds, duration, logged, note_duration
from proxyscale.base.verbs import COMMANDS, VERBS, Registered
from proxyscale.cli import (
    commands,  # noqa: F401 (it registers)
    decision_verbs,  # noqa: F401
    table_verbs,  # noqa: F401
)
from proxyscale.cli import verbs as rule_verbs  # noqa: F401
from proxyscale.vision import verbs as vision_verbs  # noqa: F401

WORDS: Registered = {**COMMANDS, **VERBS}
JOBS = (  # what every job of a rule takes
    "log?: also write what is said to this file",
    "gpus?: take so many slots of GPUs here",
)


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are a user's: told with the nearest name, without its usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


def parser(words: Registered, prog: str = "proxyscale", files: object = None) -> Parser:
    """Commands, verbs or both, told apart, and their options.

    `files` is how shtab has a shell complete names of files, where it reads the parser: as every
    value. It takes commands from argparse's own list, in whose place the epilog stands in help.
    """
    kinds = {"commands": COMMANDS, "verbs of the workflow's rules": VERBS}
    top = Parser(
        prog=prog,
        usage=f"{prog} COMMAND [--option value …]",
        description="Do small models tell you what data will do to a large one?",
        epilog="\n\n".join(
            _listed(title, {name: words[name] for name in kind if name in words})
            for title, kind in kinds.items()
            if any(name in words for name in kind)
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"proxyscale {__version__}")
    listed = "commands" if files else argparse.SUPPRESS
    subs = top.add_subparsers(dest="word", required=True, help=listed, metavar="COMMAND")
    for name, (function, flags) in words.items():
        sub = subs.add_parser(
            name,
            help=_told(function),
            prog=f"{prog} {name}",
            usage=_usage(f"{prog} {name}", flags),
            description=inspect.cleandoc(function.__doc__ or ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for flag in (*flags, *(JOBS if name in VERBS else ())):
            action = _add(sub, flag, bare=name in VERBS)
            if files and action.nargs != 0:
                action.complete = files  # type: ignore[attr-defined]
    return top


def _usage(start: str, flags: Sequence[str]) -> str:
    """How a command is called: what has to be said, then what may be."""
    names = [flag.partition(":")[0] for flag in flags]
    required = [f"--{name} VALUE" for name in names if name[-1] not in "*!?=+"]
    several = [f"[{name[:-1].upper()} …]" for name in names if name.endswith("*")]
    return " ".join([start, *several, *required, "[--option VALUE …]"])


def _told(function: Callable[..., Any]) -> str:
    """The first line of what a command says of itself."""
    return inspect.cleandoc(function.__doc__ or "").partition("\n")[0]


def _listed(title: str, registered: Registered) -> str:
    """A heading, and a line for every word."""
    rows = [(f"  {name}", _told(function)) for name, (function, _) in registered.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join([f"{title}:", *(f"{name:<{width}}  {told}" for name, told in rows)])


def _add(sub: argparse.ArgumentParser, flag: str, bare: bool) -> argparse.Action:
    """A flag as `verb` tells it; `bare` if it may stand without a value, as a rule writes it."""
    flag, _, told = flag.partition(": ")
    options: dict[str, Any] = {"help": told.replace("%", "%%") or None}
    if flag.endswith("*"):
        return sub.add_argument(flag.rstrip("*"), nargs="*", **options)
    if flag.endswith("!"):
        return sub.add_argument(f"--{flag.rstrip('!')}", action="store_true", **options)
    options |= {"required": not flag.endswith("?"), "metavar": "VALUE"}
    if flag.endswith(("=", "+")):
        options |= {"default": [], "required": False}
        options["action"] = "append" if flag.endswith("=") else "extend"
    if flag.endswith("+"):
        options["nargs"] = "*"
    elif flag.endswith("?") and bare:
        options["nargs"] = "?"
    return sub.add_argument(f"--{flag.rstrip('=+?')}", **options)


def spelled_out(argv: list[str]) -> list[str]:
    """The command line with the lines of a file in the place of every `--arguments FILE`."""
    words = iter(argv)
    found: list[str] = []
    for word in words:
        file = next(words, None) if word == "--arguments" else None
        found += [word] if file is None else Path(file).read_text("utf-8").split("\n")
    return found


def understood(argv: list[str], words: Registered, prog: str) -> argparse.Namespace:
    """The command line, parsed. UserError with the nearest name for a word that is not known."""
    if argv and not argv[0].startswith("-") and argv[0] not in words:
        raise UserError(f"no such command: {argv[0]}", value=argv[0], allowed=words)
    args, more = parser(words, prog).parse_known_args(argv)
    if more:
        allowed = [f"--{flag.partition(':')[0].rstrip('=+?!')}" for flag in words[args.word][1]]
        kind = "option" if more[0].startswith("-") else "argument"
        told = f"{args.word}: no such {kind}: {more[0]}"
        raise UserError(told, value=more[0].partition("=")[0], allowed=allowed)
    return args


def people(argv: list[str] | None = None) -> int:
    """The door of people: `proxyscale COMMAND`; alone it tells what there is."""
    return main(argv, COMMANDS, "proxyscale")


def main(
    argv: list[str] | None = None, words: Registered = WORDS, prog: str = "python -m proxyscale"
) -> int:
    """Run one command or verb. Exit code 0; 2 for a user's mistake, told without a traceback."""
    try:
        argv = spelled_out(sys.argv[1:] if argv is None else argv)
        args = understood(argv or ["--help"], words, prog)
    except UserError as error:
        print(f"proxyscale: {error}", file=sys.stderr)
        return 2
    log = getattr(args, "log", None)
    with ExitStack() as stack:
        start, used = time.monotonic(), cpu_seconds()
        try:
            if log:
                stack.enter_context(logged(Path(log)))
            lock.join(parent_dies=True)
            if getattr(args, "gpus", None) is not None:
                devices.take(int(args.gpus))
            told = words[args.word][0](args)
        except Exception as error:
            return _failed(args.word, error, log)
        took = time.monotonic() - start
        if told:
            # in one piece, so that the lines of jobs side by side stay whole
            sys.stderr.write(f"{args.word} {told} · {duration(took)}\n")
    if log:
        with contextlib.suppress(OSError):
            note_duration(Path(log), took, cpu_seconds() - used)
    return 0


def _failed(word: str, error: Exception, log: str | None) -> int:
    """Tell of an error; the exit code. What only memory or another try can cure is not noted."""
    if isinstance(error, ModuleNotFoundError):
        error = missing(error)
    if not isinstance(error, UserError) and is_full(error):
        error = DiskFull(getattr(error, "filename", None) or Path.cwd())
    if type(error).__name__ == "OutOfMemoryError":  # torch's, of a GPU
        told = str(error).partition("\n")[0]
        error = UserError(told, hint="fewer execution.micro_batch_tokens, or a larger GPU")
    curable = isinstance(error, MemoryError | OSError) and not isinstance(error, UserError)
    code = lock.MISTAKE if isinstance(error, UserError) else 1
    if not curable:
        with contextlib.suppress(OSError):
            lock.note_end(code, log or "")
    if not isinstance(error, UserError):
        traceback.print_exception(error)
        return 1
    print(f"proxyscale {word}: {error}", file=sys.stderr)
    if isinstance(error, DiskFull):
        ending.end_workflow()
    return 2
