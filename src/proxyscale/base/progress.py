"""One line per job: redrawn on a terminal, at most one every ten seconds in a log."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO, cast

from proxyscale.base import machine
from proxyscale.base.errors import room

LOG_INTERVAL = 10.0
QUIET = "PROXYSCALE_QUIET"  # set where the workflow tells of its jobs, which then only log
TERMINAL_INTERVAL = 0.2


def duration(seconds: float) -> str:
    """Seconds as people write them: 42s, 1m12s, 3h05m, 2d04h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def quantity(value: float) -> str:
    """A count with three significant digits and a suffix: 82.1k, 1.30M, 2.7G, 4.3e21."""
    if value >= 1e15:
        return f"{value:.2e}".replace("e+", "e")
    for limit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}"


def few(names: Sequence[str], most: int = 12) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def cheaper(ratio: float) -> str:
    """What a scale saves, in words: `ratio` is the reference's compute over its own."""
    times, word = (ratio, "cheaper") if ratio >= 1 else (1 / ratio, "dearer")
    return f"{times:,.0f}× {word}" if times >= 100 else f"{times:.3g}× {word}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines of one table, its columns flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]


class Progress:
    """Tells how far a job is. `total` in steps; `tokens` per step give the rate."""

    def __init__(self, title: str, total: int, stream: TextIO | None = None) -> None:
        self.title = title
        self.total = total
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.start = time.monotonic()
        self.last = self.start - TERMINAL_INTERVAL if self.terminal else self.start

    def step(self, done: int, note: str = "", tokens: int = 0) -> None:
        """Report `done` steps; silent unless enough time has passed since the last line."""
        now = time.monotonic()
        interval = TERMINAL_INTERVAL if self.terminal else LOG_INTERVAL
        if now - self.last < interval and not (self.terminal and done == self.total):
            return
        self.last = now
        elapsed = now - self.start
        parts = [f"{self.title} · step {done}/{self.total}"]
        if note:
            parts.append(note)
        if tokens and elapsed > 0:
            parts.append(f"{quantity(tokens / elapsed)} tok/s")
        if done:
            parts.append(f"{duration(elapsed / done * (self.total - done))} left")
        line = " · ".join(parts)
        self.stream.write(f"\r\x1b[K{line}" if self.terminal else f"{line}\n")
        self.stream.flush()

    def close(self, line: str = "") -> None:
        """End the redrawn line; leave `line` behind, if any."""
        if self.terminal:
            self.stream.write("\r\x1b[K")
        if line:
            self.stream.write(f"{self.title} · {line}\n")
        self.stream.flush()


FINISHED = "finished in {:.1f} s, {:.1f} s of CPU on {}"
_FINISHED = re.compile(r"^finished in ([\d.]+) s, ([\d.]+) s of CPU(?: on (\w+))?$")


class Noted(NamedTuple):
    """What a job took, and the key of the machine that it ran on."""

    seconds: float
    cpu: float
    machine: str | None


def cpu_seconds() -> float:
    """CPU time of this process so far, and of those that it started and that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def note_duration(log: Path, seconds: float, cpu: float) -> None:
    """Close a finished job's log with what it took, and on which kind of machine."""
    with log.open("a") as file:
        print(FINISHED.format(seconds, cpu, machine.key()), file=file)


def noted_duration(log: Path) -> Noted | None:
    """What a job took, from its log; None if it has not finished."""
    try:
        last = log.read_text().rstrip().rpartition("\n")[2]
    except OSError:
        return None
    found = _FINISHED.match(last)
    return Noted(float(found[1]), float(found[2]), found[3]) if found else None


class _Tee:
    """Standard error that also fills a log, redrawn lines left out.

    A log that cannot be written, on a full disk, ends no job.
    """

    def __init__(self, stream: TextIO, log: TextIO, quiet: bool) -> None:
        self.stream = stream
        self.log = log
        self.quiet = quiet  # the log alone is filled

    def write(self, text: str) -> int:
        if not text.startswith("\r"):
            with contextlib.suppress(OSError):
                self.log.write(text)
                self.log.flush()
        return len(text) if self.quiet else self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty() and not self.quiet


@contextlib.contextmanager
def logged(path: Path) -> Iterator[None]:
    """While the block runs, what goes to standard error also goes to a file; with QUIET set, only
    there."""
    with room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        log = path.open("w")
    try:
        with contextlib.redirect_stderr(cast(TextIO, _Tee(sys.stderr, log, QUIET in os.environ))):
            yield
    finally:
        with contextlib.suppress(OSError):
            log.close()
