"""Snakemake's own work for each of many small jobs, without what grows with their number.

Between two jobs Snakemake weighs all that are ready against each other. Every look for jobs that
can start has it look again a second later, so that looks become as many a second as jobs have
finished. And it sums every file that a job has read, once for every file that the job has written.
A thousand small runs take less than that.
"""

from __future__ import annotations

import heapq
import os
import threading
from collections import defaultdict
from typing import Any


def lighten() -> None:
    """Have this process's Snakemake do all this no more often than anything can change."""
    _weigh_few()
    _look_once_a_second()
    _sum_once()


def _weigh_few() -> None:
    """Have it weigh, of ready jobs that need the same, as many as there are cores for."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    def first(self: Any) -> list[Any]:
        ready = self.workflow.dag.ready_jobs
        if self.dryrun or len(ready) <= (cores := self.global_resources["_cores"]):
            return list(ready)
        kinds: dict[Any, list[Any]] = defaultdict(list)
        for job in ready:
            kind = job if job.is_group() else (job.rule, job.wildcards_dict.get("scale"))
            kinds[kind].append(job)
        each = (heapq.nlargest(cores, jobs, lambda job: job.priority) for jobs in kinds.values())
        return [job for jobs in each for job in jobs]

    JobScheduler.open_jobs = property(first)


def _look_once_a_second() -> None:
    """Have it wait for its next look with one timer: every look would start another one."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    def later(self: Any, delay: int) -> None:
        if vars(self).get("waits_to_look"):
            return
        self.waits_to_look = True

        def look() -> None:
            self.waits_to_look = False
            self._open_jobs.release()

        timer = threading.Timer(delay, look)
        timer.daemon = True
        timer.start()

    JobScheduler._schedule_reevalutation = later


def _sum_once() -> None:
    """Have it keep the sum of a file for as long as the file is the same."""
    from snakemake.io import _IOFile

    checksum = _IOFile.checksum
    known: dict[Any, str | None] = {}

    async def once(self: Any, *asked: Any, **named: Any) -> str | None:
        if self.is_storage or not os.path.isfile(self):
            found: str | None = await checksum(self, *asked, **named)
            return found
        status = os.stat(self)
        key = str(self), status.st_ino, status.st_size, status.st_mtime_ns, asked, *named.items()
        if key not in known:
            known[key] = await checksum(self, *asked, **named)
        return known[key]

    _IOFile.checksum = once
