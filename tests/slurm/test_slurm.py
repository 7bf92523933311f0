"""A small study through profiles/slurm, on a real Slurm, while its jobs and itself are killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
import safetensors.numpy
from support.one_machine import GPUS, OneMachine, Unavailable, run
from support.workflow_run import Workflow

from proxyscale.base import devices, lock

pytestmark = pytest.mark.slurm

BOUND = 600  # seconds for one call, or for one thing to come about
TARGET = "results/losses.parquet"
# The first job to run this asks for more memory than it was given, the second for more time.
PLUGIN = '''
import os
import time

import numpy as np

from proxyscale.registry import selection


def first(name):
    try:
        os.remove(name)
    except FileNotFoundError:
        return False
    return True


@selection
def longest(candidates):
    """Rows from the ends of the pool."""
    if first("wants-memory"):
        taken = np.ones(500_000_000)
        time.sleep(120)
    if first("wants-time"):
        time.sleep(600)
    return candidates.ids.astype(float)
'''


@pytest.fixture(scope="module")
def slurm() -> Iterator[OneMachine]:
    """The cluster. Skips where there can be none, with the reason."""
    try:
        with OneMachine() as cluster:
            yield cluster
    except Unavailable as error:
        pytest.skip(str(error))


def small(folder: Path) -> Workflow:
    """Six runs, of two scales, that all wait for the plugin's selection."""
    folder.mkdir()
    workflow = Workflow(folder)
    (folder / "plugin.py").write_text(PLUGIN)
    workflow.config["scales"].pop("s")
    workflow.config["distributions"] = {"long": {"method": "longest"}}
    workflow.config["seeds"] = 3
    return workflow


SLURM = ("--slurm-no-account", "--slurm-status-command", "squeue")
SLURM += ("--slurm-init-seconds-before-status-checks", "2")
GENERIC = ("--seconds-between-status-checks", "2")


def call(
    workflow: Workflow, profile: str, *options: str, target: str = TARGET
) -> subprocess.Popen[bytes]:
    """A call through a profile."""
    words = ["--profile", f"profiles/{profile}", "--latency-wait", "10", *options]
    with (workflow.folder / "calls.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *words, "--", target],
            cwd=workflow.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "", devices.PRETENDED: "1"},
            stdout=log,
            stderr=log,
        )


Job = dict[str, str]


def jobs() -> list[Job]:
    """Every job that the cluster remembers."""
    told = run("scontrol", "--oneliner", "show", "job").splitlines()
    return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in told if line.startswith("JobId=")]


def wait_for(found: Callable[[], list[Job]], seconds: float = BOUND) -> Job:
    """The first job that comes to be found."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if several := found():
            return several[0]
        time.sleep(0.3)
    raise AssertionError("no such job came")


def in_state(state: str, word: str) -> list[Job]:
    """Jobs in a state whose comment, the names of their rules, has a word in it."""
    return [job for job in jobs() if job["JobState"] == state and word in job["Comment"]]


def training(workflow: Workflow) -> list[psutil.Process]:
    """Processes that train for this workflow."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words, folder = process.info["cmdline"] or [], str(workflow.folder)
        if words[1:4] == ["-m", "proxyscale", "train"] and process.info["cwd"] == folder:
            found.append(process)
    return found


def numbers(workflow: Workflow) -> dict[str, bytes]:
    """Losses, models and manifests, which do not depend on how fast the jobs were."""
    names = ("losses.parquet", "runs/**/losses/*", "runs/**/model.safetensors", "**/manifest.json")
    results = workflow.folder / "results"
    return {str(p.relative_to(results)): p.read_bytes() for n in names for p in results.glob(n)}


def gpus_at_once(finished: list[Job]) -> int:
    """The largest number of GPUs that the jobs had at any second."""
    change: Counter[datetime] = Counter()
    for job in finished:
        gpu = re.search(r"gpu:(\d+)", job.get("TresPerJob", ""))
        if gpu and job["StartTime"] != "Unknown":
            change[datetime.fromisoformat(job["StartTime"])] += int(gpu[1])
            change[datetime.fromisoformat(job["EndTime"])] -= int(gpu[1])
    running, most = 0, 0
    for moment in sorted(change):
        running += change[moment]
        most = max(most, running)
    return most


def report(finished: list[Job]) -> None:
    """The cluster's own words on what ran."""
    for job in finished:
        keys = ("JobId", "JobState", "StartTime", "EndTime", "TimeLimit", "TRES", "TresPerJob")
        keys += ("Comment",)
        print("  ".join(job.get(key, "") for key in keys))


def test_a_study_survives_what_a_cluster_does(slurm: OneMachine, tmp_path: Path) -> None:
    local = small(tmp_path / "local")
    local.snakemake("--cores", "2", "--", TARGET)
    workflow = small(tmp_path / "slurm")
    workflow.snakemake("--dry-run", "--quiet", "--", TARGET)
    for name in ("wants-memory", "wants-time"):
        (workflow.folder / name).touch()

    # Out of memory, then out of time: the third attempt has four times the first one's share.
    first = call(workflow, "slurm", *SLURM)
    wait_for(lambda: [job for job in jobs() if job["JobState"] not in ("PENDING", "RUNNING")])
    job = wait_for(lambda: in_state("RUNNING", "select") if not _wants(workflow) else [])
    run("scontrol", "update", f"JobId={job['JobId']}", "TimeLimit=1")
    wait_for(lambda: in_state("TIMEOUT", "select"))

    # The workflow's own process dies while a model is being trained.
    wait_for(lambda: in_state("RUNNING", "train"))
    first.kill()
    first.wait()
    orphans = {job["JobId"] for job in in_state("RUNNING", "train")}

    # The next call ends what was left, and looses two jobs on the way.
    second = call(workflow, "slurm", *SLURM)
    job = wait_for(lambda: [j for j in in_state("RUNNING", "train") if j["JobId"] not in orphans])
    run("scancel", job["JobId"])
    until = time.monotonic() + BOUND
    while not (victims := training(workflow)) and time.monotonic() < until:
        time.sleep(0.05)
    victims[0].send_signal(signal.SIGKILL)
    assert second.wait(BOUND) == 0, (workflow.folder / "calls.log").read_text()[-5000:]

    finished = jobs()
    report(finished)
    assert numbers(workflow) == numbers(local)
    states = Counter(job["JobState"] for job in finished)
    print(dict(states), f"GPUs at once: {gpus_at_once(finished)} of {GPUS}")
    assert 0 < gpus_at_once(finished) <= GPUS
    assert states["TIMEOUT"] == 1
    assert not list((workflow.folder / "results").rglob(f"{lock.PARTIAL}*"))


def test_any_scheduler_with_a_submit_command(slurm: OneMachine, tmp_path: Path) -> None:
    local, workflow = small(tmp_path / "local"), small(tmp_path / "generic")
    local.snakemake("--cores", "2", "--", TARGET)
    workflow.snakemake("--dry-run", "--quiet", "--", TARGET)
    before = len(jobs())
    done = call(workflow, "cluster-generic", *GENERIC).wait(BOUND)
    assert done == 0, (workflow.folder / "calls.log").read_text()[-5000:]
    assert numbers(workflow) == numbers(local)
    assert {job["JobState"] for job in jobs()[before:]} == {"COMPLETED"}


def test_two_nodes_share_a_run(slurm: OneMachine, tmp_path: Path) -> None:
    """By srun, torchrun's meeting and FSDP2; its weights are those of one process."""
    target, weights = "results/runs/ref/mix/0-0/manifest.json", []
    before = len(jobs())
    for name, shared in (("local", {}), ("shared", {"gpus": 2, "nodes": 2, "sharded": True})):
        workflow = small(tmp_path / name)
        workflow.config["distributions"] = {"mix": {"method": "random"}}
        # steps that are no larger than what rounding leaves alone
        workflow.config["training"] |= {"tokens": 640, "learning_rate": 3e-3, "eps": 1e-4}
        workflow.config["scales"]["ref"] |= shared
        if shared:
            workflow.write()
            done = call(workflow, "slurm", *SLURM, target=target).wait(BOUND)
            assert done == 0, (workflow.folder / "calls.log").read_text()[-5000:]
        else:
            workflow.snakemake("--cores", "2", "--", target)
        run = (workflow.folder / target).parent
        weights.append(safetensors.numpy.load_file(run / "model.safetensors"))
    report(jobs()[before:])
    (job,) = [job for job in jobs()[before:] if "train" in job["Comment"]]
    assert (job["JobState"], job["NumNodes"]) == ("COMPLETED", "2")
    assert "gpu:2" in job["TresPerJob"]
    assert weights[0].keys() == weights[1].keys()
    for key, tensor in weights[0].items():
        np.testing.assert_allclose(weights[1][key], tensor, rtol=0, atol=1e-6, err_msg=key)


def _wants(workflow: Workflow) -> bool:
    """Whether the plugin has more tricks to play."""
    return any((workflow.folder / name).exists() for name in ("wants-memory", "wants-time"))
