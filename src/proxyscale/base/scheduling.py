"""Snakemake's scheduler looks for jobs to start when one has ended, not over and over.

It limits how many jobs start in a timespan, and after every look at the waiting jobs sets a timer
of that timespan for another one, whether the limit is reached or not. So each job that has ended
adds a look a second for as long as the call lasts, and a look takes longer the more jobs wait:
after a hundred jobs a third of a core went into it.
"""

from __future__ import annotations

from typing import Any


def look_when_it_may_help() -> None:
    """Have this process's Snakemake set that timer only where the limit kept a job back."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    look_after = JobScheduler._schedule_reevalutation

    def only_if_limited(self: Any, delay: int) -> None:
        limiter = self.job_rate_limiter
        waits_for_input = self.workflow.dag.has_unfinished_queue_input_jobs()
        if limiter is None or waits_for_input or not limiter.get_free_jobs():
            look_after(self, delay)

    JobScheduler._schedule_reevalutation = only_if_limited
