"""CPU seconds of our work and of a peer's, which take turns, and the table they are printed in."""

from __future__ import annotations

import csv
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Work = Callable[[], object]
WORSE = 0.9  # of what it was: told
COLUMNS = ("what", "unit", "ours", "peer", "theirs", "ratio", "limit", "machine", "torch")


class Row(NamedTuple):
    """One line of the table; rates are in units a CPU second on one thread."""

    what: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None  # ours over theirs: the median of the rounds
    limit: float | None = None  # share of what the core can do


def cpu_seconds(work: Work) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turns(rounds: int, *works: Work) -> list[list[float]]:
    """CPU seconds of every work by round, after a call of each to warm up: [works][rounds]."""
    for work in works:
        work()
    taken = [[cpu_seconds(work) for work in works] for _ in range(rounds)]
    return [list(each) for each in zip(*taken, strict=True)]


def compared(
    what: str,
    unit: str,
    amount: float,
    seconds: Sequence[Sequence[float]],
    peers: Sequence[str] = (),
    limit: Callable[[float], float] = lambda rate: float("nan"),
) -> Iterable[Row]:
    """Rows of one work against its peers; `seconds` [ours and peers][rounds] for so many units.

    `limit`: the share of what the core can do at a rate of ours.
    """
    ours = seconds[0]
    rate = amount / statistics.median(ours)
    share = limit(rate)
    known = None if share != share else share
    if not peers:
        yield Row(what, unit, rate, limit=known)
    for peer, theirs in zip(peers, seconds[1:], strict=True):
        ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
        yield Row(what, unit, rate, peer, amount / statistics.median(theirs), ratio, known)


def cpu_name() -> str:
    """The processor as its maker calls it, and what it can do with fp32."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = said.get("flags", "").split()
    wide = next((flag for flag in ("amx_bf16", "avx512f", "avx2") if flag in flags), "")
    return f"{said.get('model name', platform.processor() or platform.machine())} {wide}".strip()


def read(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Lines of an earlier table by what and peer; none where there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {(line["what"], line["peer"]): line for line in csv.DictReader(file)}


def write(path: Path, rows: Iterable[Row], before: dict[tuple[str, str], dict[str, str]]) -> None:
    """The table; lines that were not measured this time stay as they were."""
    import torch

    about = {"machine": cpu_name(), "torch": torch.__version__}
    lines: dict[tuple[str, str], dict[str, Any]] = dict(before)
    for row in rows:
        lines[row.what, row.peer] = {k: "" if v is None else v for k, v in row._asdict().items()}
        lines[row.what, row.peer] |= about
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines.values())


def told(row: Row, before: dict[str, str] | None) -> str:
    """A line of the table, with what it was on the same machine, or its ratio on another one."""
    text = f"{row.what:34s} {_short(row.ours):>8s} {row.unit + '/s':12s}"
    text += f" {row.peer:22s} {_short(row.theirs):>8s} {_short(row.ratio):>6s}"
    text += f" {'' if row.limit is None else f'{row.limit:.0%}':>6s}"
    if before is None:
        return text.rstrip()
    own = before["machine"] == cpu_name() or not before["ratio"] or row.ratio is None
    now, then = (row.ours, before["ours"]) if own else (row.ratio, before["ratio"])
    change = (now or 0.0) / float(then)
    text += f"  {change:.2f} of before" if own else f"  ratio was {float(then):.2f}"
    return text + (", WORSE" if change < WORSE else "")


def _short(value: float | None) -> str:
    if value is None:
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
