"""The door: one verb per rule, and the words for people. Parse, call, print.

python -m proxyscale VERB --flag value …
"""

from __future__ import annotations

import argparse
import inspect
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from proxyscale.base import devices, lock
from proxyscale.base.errors import UserError
from proxyscale.base.progress import duration, logged, note_duration
from proxyscale.base.verbs import VERBS
from proxyscale.cli import commands  # noqa: F401 (it registers)
from proxyscale.cli import verbs as rule_verbs  # noqa: F401
from proxyscale.vision import verbs as vision_verbs  # noqa: F401


def parser() -> argparse.ArgumentParser:
    """All verbs and their flags."""
    top = argparse.ArgumentParser(prog="proxyscale", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (function, flags) in VERBS.items():
        told = inspect.cleandoc(function.__doc__ or "")
        first = told.partition("\n")[0]
        raw = argparse.RawDescriptionHelpFormatter
        sub = verbs.add_parser(name, help=first, description=told, formatter_class=raw)
        sub.add_argument("--log", help="also write what is said to this file")
        sub.add_argument("--gpus", type=int, default=0, help="take so many slots of GPUs here")
        for flag in flags:
            if flag.endswith("*"):
                sub.add_argument(flag.rstrip("*"), nargs="*")
                continue
            options: dict[str, Any] = {"required": not flag.endswith("?")}
            if flag.endswith(("=", "+")):
                options |= {"metavar": "VALUE", "default": [], "required": False}
                options["action"] = "append" if flag.endswith("=") else "extend"
            if flag.endswith("+"):
                options["nargs"] = "*"
            elif flag.endswith("?"):
                options["nargs"] = "?"
            sub.add_argument(f"--{flag.rstrip('=+?')}", **options)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Exit code 0; 2 for a mistake of the user's, told without a traceback."""
    args = parser().parse_args(argv)
    with ExitStack() as stack:
        if args.log:
            stack.enter_context(logged(Path(args.log)))
        start, used = time.monotonic(), time.process_time()
        try:
            lock.join(parent_dies=True)
            devices.take(args.gpus)
            told = VERBS[args.verb][0](args)
        except UserError as error:
            print(f"proxyscale {args.verb}: {error}", file=sys.stderr)
            return 2
        except Exception:
            traceback.print_exc()
            return 1
        took = time.monotonic() - start
        if told:
            print(f"{args.verb} {told} · {duration(took)}", file=sys.stderr)
    if args.log:
        note_duration(Path(args.log), took, time.process_time() - used)
    return 0
