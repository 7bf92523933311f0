"""How long jobs take on so many GPUs and cores: a simulation, and what bounds it from below."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

EPSILON = 1e-9  # of a GPU: shares of one add up to one


class Work(NamedTuple):
    """A job: it takes a core or some, perhaps GPUs, and waits for others."""

    seconds: float
    gpus: float = 0.0  # below 1, a share of one
    priority: int = 0
    after: tuple[int, ...] = ()  # places of the jobs that it waits for, all before its own
    cores: int = 1

    def within(self, cores: int) -> Work:
        """The job where there are so many cores: with fewer than it asks for, it takes longer."""
        fewer = min(self.cores, cores)
        return self._replace(seconds=self.seconds * self.cores / fewer, cores=fewer)


def makespan(works: Sequence[Work], gpus: float, cores: int) -> float:
    """Seconds until the last job ends, as Snakemake's greedy scheduler starts them.

    Whenever a job has ended, those that may run start, the highest priority first, as long as there
    are cores and GPUs for them. `gpus` is at least what any of them asks for.
    """
    works = [work.within(cores) for work in works]
    waits = [len(work.after) for work in works]
    followers: list[list[int]] = [[] for _ in works]
    for number, work in enumerate(works):
        for before in work.after:
            followers[before].append(number)
    ready = sorted((-works[n].priority, n) for n, count in enumerate(waits) if not count)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        ready, started = _started(ready, works, gpus, cores)
        for number in started:
            gpus, cores = gpus - works[number].gpus, cores - works[number].cores
            heapq.heappush(running, (now + works[number].seconds, number))
        now, ended = heapq.heappop(running)
        gpus, cores = gpus + works[ended].gpus, cores + works[ended].cores
        for number in followers[ended]:
            waits[number] -= 1
            if not waits[number]:
                ready.append((-works[number].priority, number))
        ready.sort()
    return now


def _started(
    ready: list[tuple[int, int]], works: Sequence[Work], gpus: float, cores: int
) -> tuple[list[tuple[int, int]], list[int]]:
    """Those that go on waiting, and those that start."""
    left, started = [], []
    for entry in ready:
        work = works[entry[1]]
        if work.cores <= cores and work.gpus <= gpus + EPSILON:
            gpus, cores = gpus - work.gpus, cores - work.cores
            started.append(entry[1])
        else:
            left.append(entry)
    return left, started


def critical_path(works: Sequence[Work]) -> list[int]:
    """The jobs, each waiting for the one before, that together take longest."""
    ends: list[float] = []
    last: list[int | None] = []
    for work in works:
        before = max(work.after, key=lambda number: ends[number], default=None)
        ends.append(work.seconds + (0.0 if before is None else ends[before]))
        last.append(before)
    at = max(range(len(works)), key=lambda number: ends[number], default=None)
    path: list[int] = []
    while at is not None:
        path.append(at)
        at = last[at]
    return path[::-1]
