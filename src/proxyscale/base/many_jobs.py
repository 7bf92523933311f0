"""Snakemake's own work for each of many small jobs, without what grows with their number.

Between two jobs Snakemake weighs all that are ready against each other. Every look for jobs that
can start has it look again a second later, so that looks become as many a second as jobs have
finished. And it sums every file that a job has read, once for every file that the job has written.
A thousand small runs take less than that. To build its graph it asks for every job anew what is the
same for all: what a rule's functions take, which rule makes a file that all of them read.
"""

from __future__ import annotations

import gc
import heapq
import inspect
import itertools
import os
import threading
from collections import defaultdict
from typing import Any

TOLD = 200  # jobs of which a dry run tells


def lighten() -> None:
    """Have this process's Snakemake do all this no more often than anything can change."""
    # A graph of jobs is millions of objects, all of them alive to the end.
    gc.set_threshold(1_000_000, 50, 1000)
    _weigh_few()
    _look_once_a_second()
    _sum_once()
    _ask_once()
    _find_producers_once()
    _want_no_environments()
    _go_through_few()


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


def _ask_once() -> None:
    """Have it ask once, and not for every job, what the parameters of a rule's functions are."""
    from snakemake import common, rules

    parameters = common.get_function_params
    known: dict[Any, Any] = {}

    def once(function: Any) -> Any:
        # of a method, that of one object and no other
        key = getattr(function, "__func__", function), inspect.ismethod(function)
        if key not in known:
            known[key] = parameters(function)
        return known[key]

    common.get_function_params = rules.get_function_params = once


def _find_producers_once() -> None:
    """Have it look once for the rules that make a file which many jobs read."""
    from snakemake.output_index import OutputIndex

    search = OutputIndex.match_producers

    def once(self: Any, file: str) -> Any:
        known = vars(self).setdefault("known_producers", {})
        if file not in known:
            known[file] = search(self, file)
        return known[file]

    OutputIndex.match_producers = once


def _want_no_environments() -> None:
    """Have it work out every job's environment only where it is to make some."""
    from snakemake.dag import DAG

    update = DAG.update_conda_envs

    def wanted(self: Any) -> None:
        if self.workflow.deployment_settings.deployment_method:
            update(self)

    DAG.update_conda_envs = wanted


def _go_through_few() -> None:
    """Have a dry run tell of its first jobs alone, unless it is asked for commands, and of no job
    what resources it gives back."""
    from snakemake.executors.dryrun import Executor
    from snakemake.scheduling.job_scheduler import JobScheduler

    print_job, free, told = Executor.printjob, JobScheduler._free_resources, itertools.count(1)

    def some(self: Any, job: Any) -> None:
        settings = self.workflow.output_settings
        if settings.printshellcmds or settings.verbose or (number := next(told)) <= TOLD:
            print_job(self, job)
        elif number == TOLD + 1:
            print("\n[...] all jobs are counted below, --printshellcmds tells of each", flush=True)

    def of_those_that_ran(self: Any, job: Any) -> None:
        if not self.dryrun:
            free(self, job)

    Executor.printjob = some
    JobScheduler._free_resources = of_those_that_ran
