"""A call of the workflow ends soon when it is told to, on a full disk, too; and a job that would
end again as it did is not tried again.

Told to end (SIGTERM, SIGINT), Snakemake waits for its jobs, however long they take, and on a full
disk it may wait for ever. Here its jobs are ended, and if it is not gone by then, so is it: what a
killed call leaves is seen to by the next one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import psutil

from proxyscale.base import job_server, lock

PATIENCE = 15.0  # seconds for jobs to end, and for Snakemake after them


def end_when_told() -> None:
    """Have this process's Snakemake end its jobs, and then itself, when it is told to end."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    def told(self: Any, *_: Any) -> None:
        # in a thread: the one that was interrupted may hold the scheduler's lock
        threading.Thread(target=_end, args=(self,), daemon=True).start()

    JobScheduler.exit_gracefully = told
    signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def try_again_what_may_help(results: str) -> None:
    """Have this process's Snakemake try no job again that ended itself by an error.

    A job that the kernel or a scheduler ended, for memory or time, says nothing of itself, and is
    tried again with more.
    """
    from snakemake.jobs import GroupJob, Job

    def times(self: Any) -> int:
        again: int = self.rule.restart_times
        return 0 if again and lock.ended(results).keys() & set(map(str, self.log)) else again

    def group_times(self: Any) -> int:
        # one job of the group that would end again ends the group
        each = [job.restart_times for job in self.jobs]
        stopped = any(job.rule.restart_times for job in self.jobs if not job.restart_times)
        return 0 if stopped else max(each)

    Job.restart_times, GroupJob.restart_times = property(times), property(group_times)


def _end(scheduler: Any) -> None:
    with scheduler._lock:
        scheduler._user_kill = "graceful"
    jobs = psutil.Process().children()
    for job in jobs:
        job.terminate()
    for job in psutil.wait_procs(jobs, PATIENCE)[1]:
        job.kill()
    scheduler._open_jobs.release()
    time.sleep(PATIENCE)
    os._exit(1)


def end_workflow() -> None:
    """Have the Snakemake that started this job, if one did, end itself."""
    if os.environ.get(lock.PARENT) == str(job_server.parent()):
        os.kill(job_server.parent(), signal.SIGTERM)
