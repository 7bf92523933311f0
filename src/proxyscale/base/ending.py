"""A call of the workflow ends soon when it is told to, on a full disk, too.

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

import psutil  # type: ignore[import-untyped]

from proxyscale.base import lock

PATIENCE = 15.0  # seconds for jobs to end, and for Snakemake after them


def end_when_told() -> None:
    """Have this process's Snakemake end its jobs, and then itself, when it is told to end."""
    from snakemake.scheduling.job_scheduler import JobScheduler  # type: ignore[import-untyped]

    def told(self: Any, *_: Any) -> None:
        # in a thread: the one that was interrupted may hold the scheduler's lock
        threading.Thread(target=_end, args=(self,), daemon=True).start()

    JobScheduler.exit_gracefully = told
    signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


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
    if os.environ.get(lock.PARENT) == str(os.getppid()):
        os.kill(os.getppid(), signal.SIGTERM)
