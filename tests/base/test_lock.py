"""The claim on a results folder: what must hold when processes are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

from proxyscale.base import artifacts, lock
from proxyscale.base.errors import UserError

OWNER = """
import sys, time
from proxyscale.base import lock
lock.take(sys.argv[1])
print("taken", lock.os.environ[lock.ENVIRONMENT], flush=True)
time.sleep(60)
"""
JOB = """
import sys, time
from proxyscale.base import lock
lock.join(parent_dies=False)
print("joined", flush=True)
while True:
    time.sleep(0.05)
    open(sys.argv[1], "a").write("x")
"""
WORKFLOW = """
import os, subprocess, sys, time
from proxyscale.base import lock
lock.take(sys.argv[1])
job = "from proxyscale.base import lock; lock.join(parent_dies=True); print('joined', flush=True)"
subprocess.run([sys.executable, "-c", job + "; import time; time.sleep(60)"])
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Python programs; those still running at the end are killed."""
    started = []

    def run(program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that a process says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_one_workflow_at_a_time_and_none_after_a_kill(tmp_path: Path, start: Start) -> None:
    owner = start(OWNER, str(tmp_path))
    assert line(owner).startswith("taken")
    with pytest.raises(UserError, match=f"process {owner.pid} on "):
        lock.take(tmp_path)
    owner.kill()
    owner.wait()
    assert line(start(OWNER, str(tmp_path))).startswith("taken")


def test_orphans_end_before_the_next_workflow_begins(tmp_path: Path, start: Start) -> None:
    owner = start(OWNER, str(tmp_path / "results"))
    token = line(owner).removeprefix("taken ")
    trace = tmp_path / "trace"
    jobs = [start(JOB, str(trace), **{lock.ENVIRONMENT: token}) for _ in range(2)]
    assert [line(job) for job in jobs] == ["joined"] * 2
    owner.kill()
    owner.wait()
    time.sleep(2 * lock.INTERVAL)
    assert all(job.poll() is None for job in jobs)  # a job on another node does not see the kill

    following = start(OWNER, str(tmp_path / "results"))
    assert line(following) == "waiting for jobs that an earlier call left running"
    assert line(following).startswith("taken")
    written = trace.stat().st_size
    assert [job.wait(5) for job in jobs] == [-signal.SIGKILL] * 2
    assert trace.stat().st_size == written

    late = start(JOB, str(trace), **{lock.ENVIRONMENT: token})  # it had waited in a queue
    assert line(late) == "this job's workflow is gone"
    assert late.wait(5) == 1
    assert trace.stat().st_size == written


def test_a_job_dies_with_its_parent(tmp_path: Path, start: Start) -> None:
    workflow = start(WORKFLOW, str(tmp_path))
    assert line(workflow) == "joined"
    workflow.kill()
    workflow.wait()
    assert workflow.stdout is not None
    begun = time.monotonic()
    assert workflow.stdout.read() == ""  # the end of file comes with the job's death
    assert time.monotonic() - begun < 5


def test_a_job_whose_parent_died_first_ends_at_once(tmp_path: Path, start: Start) -> None:
    token = line(start(OWNER, str(tmp_path))).removeprefix("taken ")
    job = "from proxyscale.base import lock; lock.join(parent_dies=True); print('joined')"
    for parent, told in ((os.getpid(), "joined"), (gone(start), "this job's workflow is gone")):
        named = {lock.ENVIRONMENT: token, lock.PARENT: str(parent)}
        assert line(start(job, **named)) == told


def gone(start: Start) -> int:
    """The id of a process that has ended."""
    process = start("")
    process.wait()
    return process.pid


def test_what_was_left_half_written_is_removed(tmp_path: Path, start: Start) -> None:
    partial = "from proxyscale.base import artifacts; import os, signal, sys\n"
    partial += "with artifacts.atomic(sys.argv[1]) as path:\n    path.write_text('half')\n"
    writer = start(partial + "    os.kill(os.getpid(), signal.SIGKILL)", str(tmp_path / "d/whole"))
    writer.wait()
    artifacts.write_json(tmp_path / "d/kept.json", {})
    assert len(list((tmp_path / "d").iterdir())) == 2
    assert line(start(OWNER, str(tmp_path))).startswith("taken")
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["kept.json"]
