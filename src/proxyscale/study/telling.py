"""What a call of the workflow says while it runs, in place of Snakemake's frame around every job.

Jobs write to their logs alone and this process tells what is worth a line: how much is done of the
compute, what the data's jobs found, warnings, and at the end what failed and why. Snakemake's own
words stand in its log; `--verbose` or `--printshellcmds` bring them, and all that jobs say, back.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from proxyscale.base.progress import FINISHED, QUIET, duration

WIDTH = 160  # of a line at most
INTERVAL = 10.0  # seconds between two lines on progress, at least
STEP = 0.02  # of the compute between them, too
SURE = 0.1  # of the compute: before, what reading took says little of what training takes
# Of these there are many: a line on each tells nothing, unless it warns.
MANY = frozenset({"overlap", "pack", "items", "select", "train", "evaluate", "figure", "table"})
KEY = re.compile(r"\btraining\.(\w+)")


class Told(NamedTuple):
    """A job as Snakemake tells of it."""

    rule: str
    wildcards: Mapping[str, str]
    log: str

    @property
    def name(self) -> str:
        """The job in words: train xs/mix draw 0 seed 1."""
        known = dict(self.wildcards)
        run = [f"{key} {known.pop(key)}" for key in ("draw", "seed") if key in known]
        return " ".join([self.rule, "/".join(known.values()), *run]).replace("  ", " ").strip()


class Teller(logging.Handler):
    """Hears Snakemake's events and says less.

    `jobs` gives the jobs that are to run, `cost` what each takes of what is `counted`.
    """

    def __init__(
        self,
        jobs: Callable[[], Iterable[Any]],
        cost: Callable[[Told], float],
        stream: TextIO | None = None,
    ) -> None:
        super().__init__(logging.INFO)
        self.jobs, self.cost, self.counted = jobs, cost, "compute"
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.known: dict[int, Told] = {}
        self.costs: dict[int, float] = {}
        self.running: dict[int, None] = {}
        self.finished: set[int] = set()
        self.failed: dict[int, Told] = {}
        self.start = self.last = time.monotonic()
        self.shown = 0.0
        self.spent = self.total = 0.0  # what jobs that have ended cost, and all of them

    def emit(self, record: logging.LogRecord) -> None:
        """Say what an event is worth; a fault in that ends no run."""
        try:
            self._hear(record)
        except Exception:
            self.handleError(record)

    def _hear(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        event = None if event is None else event.name
        if event == "RUN_INFO" and not self.costs:
            self._begin()
        elif event == "JOB_STARTED":
            self.running |= dict.fromkeys(record.__dict__["jobs"])
        elif event == "JOB_FINISHED":
            self._done(record.__dict__["job_id"])
        elif event == "JOB_ERROR":
            self._lost(record.__dict__["jobid"])
        elif getattr(record, "exception", None) == "RuleException":
            return  # a job's command, which failed: its own words are told instead
        elif record.levelno >= logging.WARNING and event != "GROUP_ERROR" and not self.failed:
            self.say(*wrapped(record.getMessage()))

    def say(self, *lines: str) -> None:
        """Lines that stay."""
        clear = "\r\x1b[K" if self.terminal else ""
        self.stream.write(clear + "".join(f"{line}\n" for line in lines))
        self.stream.flush()

    def _begin(self) -> None:
        for job in self.jobs():
            if not job.log:  # the target alone
                continue
            told = Told(job.rule.name, dict(job.wildcards_dict), str(next(iter(job.log))))
            self.known[job.jobid] = told
            self.costs[job.jobid] = self.cost(told)
        self.total = sum(self.costs.values())
        counts = Counter(told.rule for told in self.known.values())
        kinds = ", ".join(f"{count} {rule}" for rule, count in counts.most_common())
        self.start = self.last = time.monotonic()
        self.say(*wrapped(f"{len(self.known)} jobs to run: {kinds}"))

    def _done(self, number: int) -> None:
        self.running.pop(number, None)
        if number not in self.known:
            return
        self.spent += self.costs[number] * (number not in self.finished)
        self.finished.add(number)
        self.failed.pop(number, None)  # an attempt before this one
        told = self.known[number]
        words = closing(Path(told.log))
        if words and (told.rule not in MANY or "warning: " in words):
            self.say(*wrapped(words))
        self._progress()

    def _progress(self) -> None:
        counted = self.total > 0 and len(self.finished) < len(self.costs)
        share = self.spent / self.total if counted else 1.0
        now = time.monotonic()
        if not self.terminal and (now - self.last < INTERVAL or share - self.shown < STEP):
            return
        self.last, self.shown = now, share
        took = now - self.start
        left = f"{duration(took / share * (1 - share))} left · " if SURE < share < 1 else ""
        names = sorted(self.known[n].name for n in self.running if n in self.known)
        jobs = f"{len(self.finished)} of {len(self.costs)} jobs"
        line = f"{share:4.0%} of the {self.counted} · {jobs} · {left}{', '.join(names)}"
        line = line.removesuffix(" · ")
        line = line if len(line) <= WIDTH else line[: WIDTH - 2] + " …"
        self.stream.write(f"\r\x1b[K{line}" if self.terminal else f"{line}\n")
        self.stream.flush()

    def _lost(self, number: int) -> None:
        self.running.pop(number, None)
        told = self.known.get(number)
        if told is not None:
            if all(told.rule != other.rule for other in self.failed.values()):
                words = f"failed: {told.name}: {reason(told)}\nwhat can go on goes on"
                self.say(*wrapped(words))
            self.failed[number] = told

    def mistakes(self) -> list[str]:
        """What failed, in words: one paragraph for all jobs of one rule that failed alike."""
        kinds: dict[tuple[str, str], list[tuple[Told, str]]] = {}
        for told in self.failed.values():
            words = reason(told)
            kinds.setdefault((told.rule, re.sub(r"[\d.]+", "#", words)), []).append((told, words))
        lines: list[str] = []
        for alike in kinds.values():
            told, words = alike[0]
            more = f" (and {len(alike) - 1} more like it)" if len(alike) > 1 else ""
            lines += ["", *wrapped(f"failed: {told.name}{more}")]
            lines += [f"  {line}" for line in wrapped(words, WIDTH - 2)]
            lines += [f"  log: {told.log}"] if told.log else []
        return lines


def wrapped(text: str, width: int = WIDTH) -> list[str]:
    """The lines of a text, none of them wider than it may be; words alone are never cut."""
    found: list[str] = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        found += textwrap.wrap(
            line,
            width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return found


def closing(log: Path) -> str:
    """What a finished job's log says at its end, before the time that it took."""
    lines = _lines(log)
    mark = FINISHED.partition("{")[0]
    while lines and lines[-1].startswith(mark):
        lines.pop()
    return lines[-1] if lines else ""


def reason(told: Told) -> str:
    """Why a job failed, from its log: its own message, else the last line of what was raised.

    A key of `training` is named where it is said for the scale alone, which one run concerns.
    """
    lines = _lines(Path(told.log)) if told.log else []
    head = f"proxyscale {told.rule}: "
    starts = [number for number, line in enumerate(lines) if line.startswith(head)]
    if not starts:
        last = next((line for line in reversed(lines) if line.strip()), "")
        return last or "it left no word: it may have been killed, as for want of memory"
    words = "\n".join(lines[starts[-1] :]).removeprefix(head)
    scale = told.wildcards.get("scale")
    return KEY.sub(rf"scales.{scale}.\1", words) if scale and told.rule == "train" else words


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text("utf-8", "replace").rstrip().splitlines()
    except OSError:
        return []


def tell_less(
    settings: Any, jobs: Callable[[], Iterable[Any]], cost: Callable[[Told], float]
) -> Teller | None:
    """Have Snakemake say less, and jobs nothing, unless its settings ask for something else.

    `settings`: Snakemake's OutputSettings. The teller, or None where all is said.
    """
    from snakemake.logging import ColorizingTextHandler, logger

    asked = (settings.verbose, settings.printshellcmds, settings.debug_dag, settings.quiet)
    if settings.dryrun or any(asked) or settings.log_handler_settings:
        return None
    for handler in logger.handlers:
        if isinstance(handler, ColorizingTextHandler):
            teller = Teller(jobs, cost, handler.stream)
            logger.removeHandler(handler)
            logger.addHandler(teller)
            os.environ[QUIET] = "1"
            return teller
    return None
