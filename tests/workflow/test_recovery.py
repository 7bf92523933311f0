"""A study whose processes are killed at random times ends in the numbers of an undisturbed one."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from support.workflow_run import Workflow

TARGET = "results/losses.parquet"
LONGEST = 0.5  # of an undisturbed call's time pass from one kill to the next, at most


def command(workflow: Workflow) -> subprocess.Popen[bytes]:
    """A call that brings the losses up to date."""
    with (workflow.folder / "calls.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "2", "--", TARGET],
            cwd=workflow.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
            stdout=log,
            stderr=log,
        )


def small(folder: Path, distributions: int) -> Workflow:
    """Two runs of every distribution, two tasks."""
    folder.mkdir()
    workflow = Workflow(folder)
    workflow.config["scales"].pop("s")
    kept = list(workflow.config["distributions"].items())[:distributions]
    workflow.config["distributions"] = dict(kept)
    workflow.snakemake("--dry-run", "--quiet", "--", TARGET)
    return workflow


def numbers(workflow: Workflow) -> dict[str, bytes]:
    """Every file that holds a result; curves tell how long a run took, and are left out."""
    results = workflow.folder / "results"
    names = [*results.rglob("*.parquet"), *results.rglob("*.json"), *results.rglob("*.safetensors")]
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in names
        if not {".claim", "records"} & {*path.parts}
        and path.name not in ("curve.parquet", "runs.parquet")
    }


def kill_something(call: subprocess.Popen[bytes], chance: random.Random) -> str:
    """Kill the call or one of its jobs; afterwards no job of a killed call may be alive."""
    jobs = psutil.Process(call.pid).children(recursive=True)
    if jobs and chance.random() < 0.5:
        os.kill(chance.choice(jobs).pid, signal.SIGKILL)
        return "job"
    call.kill()
    call.wait()
    _, alive = psutil.wait_procs(jobs, timeout=5)
    assert not alive
    return "workflow"


def disturbed(
    workflow: Workflow, kills: int, longest: float, expected: dict[str, bytes]
) -> Counter[str]:
    """Kill so many times, starting from nothing whenever the study is complete."""
    chance = random.Random(0)
    done: Counter[str] = Counter()
    call = command(workflow)
    while done["workflow"] + done["job"] < kills:
        try:
            call.wait(timeout=chance.uniform(0.0, longest))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                done[kill_something(call, chance)] += 1
            continue
        if call.returncode == 0:
            assert numbers(workflow) == expected
            done["complete"] += 1
            shutil.rmtree(workflow.folder / "results")
        done["calls"] += 1
        call = command(workflow)
    call.kill()
    call.wait()
    return done


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "distributions"), [(5, 1), (30, 3)])
def test_any_process_may_be_killed_at_any_time(
    tmp_path: Path, kills: int, distributions: int
) -> None:
    undisturbed = small(tmp_path / "undisturbed", distributions)
    begun = time.monotonic()
    assert command(undisturbed).wait() == 0
    longest = LONGEST * (time.monotonic() - begun)
    workflow = small(tmp_path / "disturbed", distributions)
    begun = time.monotonic()
    done = disturbed(workflow, kills, longest, numbers(undisturbed))
    assert command(workflow).wait() == 0, (workflow.folder / "calls.log").read_text()[-5000:]
    assert numbers(workflow) == numbers(undisturbed)
    assert not list((workflow.folder / "results").rglob(".partial-*"))
    print(f"{dict(done)}, {time.monotonic() - begun:.0f} s")
