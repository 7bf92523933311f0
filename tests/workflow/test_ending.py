"""A call that cannot go on, or is told not to, is soon over, says why, and can be gone on with."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from support.workflow_run import Workflow

MINUTE = 60
SLEEPER = '''
import time

from proxyscale.registry import corpus


@corpus
def sleepy(*, sleepy: int):
    """Documents that take long."""
    time.sleep(sleepy)
    yield from ()
'''


def start(workflow: Workflow, *targets: str) -> subprocess.Popen[str]:
    """A call of the workflow with the study as it is."""
    (workflow.folder / "config.yaml").write_text(yaml.safe_dump(workflow.config))
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--", *targets],
        cwd=workflow.folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_mistake_that_a_job_finds_ends_the_call_with_two(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    (tmp_path / "t.csv").write_text("scale,recipe,speed\na,x,fast\nb,x,slow\n")
    workflow.config = {
        "study": "own",
        "results": "results",
        "reference": "b",
        "runs": {"table": "t.csv"},
    }
    call = start(workflow, "results/losses.parquet")
    said, _ = call.communicate()
    assert re.search("^failed: own_runs: .*t.csv", said, re.MULTILINE), said
    assert "Traceback" not in said
    assert call.returncode == 2
    (tmp_path / "t.csv").write_text("scale,recipe,loss\na,x,1\na,y,2\nb,x,1\nb,y,3\n")
    call = start(workflow, "results/losses.parquet")
    said, _ = call.communicate()
    assert call.returncode == 0, said


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_call_that_is_told_to_end_is_soon_over(tmp_path: Path, told: signal.Signals) -> None:
    """However long its jobs take: Snakemake alone would wait for them."""
    workflow = Workflow(tmp_path)
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    workflow.config["plugins"].append("sleeper.py")
    workflow.config["sources"]["z"] = {"sleepy": 3600}
    call = start(workflow, "results/corpora/z/manifest.json")
    log = tmp_path / "results/logs/corpus/z.log"
    while not log.exists():
        assert call.poll() is None, call.communicate()
        time.sleep(0.1)
    jobs = psutil.Process(call.pid).children(recursive=True)
    call.send_signal(told)
    said, _ = call.communicate(timeout=MINUTE)
    assert call.returncode == 1, said
    assert "Traceback" not in said
    assert not psutil.wait_procs(jobs, timeout=5)[1]
    assert not (tmp_path / "results/corpora/z/manifest.json").exists()


class Disk:
    """A small disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("disks cannot be mounted here")

    def grow(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)

    def fill(self) -> None:
        """Leave no room."""
        block = bytes(4096)
        with (self.folder / "ballast").open("wb", buffering=0) as file:
            try:
                while file.write(block):
                    pass
            except OSError:
                return


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    small = Disk(tmp_path / "disk")
    yield small
    subprocess.run(["umount", "--lazy", str(small.folder)], check=True)


def wordy(workflow: Workflow) -> None:
    """Texts that do not pack well, of some megabytes."""
    rng = np.random.default_rng(0)
    lines = [f'{{"text": "{rng.bytes(3000).hex()}"}}' for _ in range(800)]
    (workflow.folder / "a.jsonl").write_text("\n".join(lines) + "\n")


TARGET = "corpora/a/manifest.json"


@pytest.mark.slow
def test_a_full_disk_of_results_is_told_and_gone_on_with(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "study").mkdir()
    workflow = Workflow(tmp_path / "study")
    wordy(workflow)
    workflow.config["results"] = str(disk.folder / "results")
    target = f"{workflow.config['results']}/{TARGET}"
    call = start(workflow, target)
    said, _ = call.communicate(timeout=10 * MINUTE)
    told = re.findall(r"^  (.*): the disk is full$", said, re.MULTILINE)
    assert told == [f"{disk.folder}/results/corpora/a/documents.parquet"], said
    assert "Traceback" not in said
    assert call.returncode == 2
    disk.grow("100m")
    call = start(workflow, target)
    said, _ = call.communicate()
    assert call.returncode == 0, said


@pytest.mark.slow
@pytest.mark.parametrize("told", [None, signal.SIGTERM, signal.SIGINT])
def test_a_call_ends_where_there_is_no_room_at_all(disk: Disk, told: signal.Signals | None) -> None:
    """The study, Snakemake's own files and the results lie on a disk that fills up under them."""
    disk.grow("100m")
    workflow = Workflow(disk.folder)
    (disk.folder / "sleeper.py").write_text(SLEEPER)
    workflow.config["plugins"].append("sleeper.py")
    workflow.config["sources"]["z"] = {"sleepy": 3600 if told else 8}
    call = start(workflow, "results/corpora/z/manifest.json", f"results/{TARGET}")
    log = disk.folder / "results/logs/corpus/z.log"
    while not log.exists():
        assert call.poll() is None, call.communicate()
        time.sleep(0.05)
    disk.fill()
    if told:
        call.send_signal(told)
    said, _ = call.communicate(timeout=10 * MINUTE)
    assert call.returncode in (1, 2), said
    (disk.folder / "ballast").unlink()
    call = start(workflow, f"results/{TARGET}")
    said, _ = call.communicate()
    assert call.returncode == 0, said
