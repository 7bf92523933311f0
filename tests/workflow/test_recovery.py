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
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.image_studies import image_study
from support.whole_studies import language_study
from support.workflow_run import Workflow, study

from proxyscale.base import run_cache

LONGEST = 0.5  # of an undisturbed call's time pass from one kill to the next, at most


def small(distributions: int) -> dict[str, Any]:
    """Two runs of every distribution, two tasks."""
    config = study()
    config["scales"].pop("s")
    config["distributions"] = dict(list(config["distributions"].items())[:distributions])
    return config


def compared() -> dict[str, Any]:
    """Scores of all scales side by side."""
    config = language_study()
    config["attribution"]["compare"] = {"scored_on": "mix", "tasks": ["last"], "sample": 100}
    return config


@dataclass
class Case:
    """What is killed: a study, and what of it is made anew whenever it is complete."""

    config: Callable[[], dict[str, Any]]
    kills: int
    target: str = "results/losses.parquet"
    again: tuple[str, ...] = ("",)  # below results: all of them
    options: tuple[str, ...] = ()
    extra: tuple[Path, ...] = ()  # what every second round is rid of, too


SELECTIONS = (
    "selection",
    "tables/selection.csv",
    "runs/ref/last-by-xs-25pc",
    "runs/ref/last-by-dsir-25pc",
)
SCORED = ("scores", "features")
CASES = {
    "one distribution": Case(lambda: small(1), 5),
    "language": Case(lambda: small(3), 30),
    "gains": Case(language_study, 20, "results/tables/selection.csv", SELECTIONS),
    "agreement": Case(compared, 20, "results/scores/agreement.parquet", SCORED),
    "vision": Case(image_study, 20, "results/statistics.parquet"),
    "cache": Case(lambda: small(2), 20, options=("--cache", "train")),
}


class Study:
    """A study in a folder of its own, called and killed."""

    def __init__(self, folder: Path, case: Case) -> None:
        folder.mkdir()
        self.case, self.results, self.said = case, folder / "results", folder / "calls.log"
        workflow = Workflow(folder)
        workflow.config = case.config()
        workflow.snakemake("--dry-run", "--quiet", "--", case.target)

    def call(self) -> subprocess.Popen[bytes]:
        """A call that brings the target up to date."""
        words = ["-m", "snakemake", "--cores", "2", *self.case.options, "--", self.case.target]
        with self.said.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=self.results.parent,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
                stdout=log,
                stderr=log,
            )

    def complete(self) -> float:
        """A call that is left alone; the seconds it took."""
        begun = time.monotonic()
        assert self.call().wait() == 0, self.said.read_text()[-5000:]
        return time.monotonic() - begun

    def begin_again(self, odd: bool) -> None:
        """Remove what is made anew."""
        for path in [self.results / name for name in self.case.again] + [*self.case.extra * odd]:
            assert path.exists(), path
            path.unlink() if path.is_file() else shutil.rmtree(path)

    def numbers(self) -> dict[str, bytes]:
        """Every file that holds a result; curves tell how long a run took, and are left out."""
        kinds = ("parquet", "json", "safetensors", "npy", "csv")
        names = [path for kind in kinds for path in self.results.rglob(f"*.{kind}")]
        return {
            str(path.relative_to(self.results)): path.read_bytes()
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


def disturbed(study: Study, longest: float, expected: dict[str, bytes]) -> Counter[str]:
    """Kill so many times, beginning again whenever the target is complete."""
    chance = random.Random(0)
    done: Counter[str] = Counter()
    call = study.call()
    while done["workflow"] + done["job"] < study.case.kills:
        try:
            call.wait(timeout=chance.uniform(0.0, longest))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                done[kill_something(call, chance)] += 1
            continue
        if call.returncode == 0:
            assert study.numbers() == expected
            done["complete"] += 1
            study.begin_again(odd=done["complete"] % 2 == 1)
        done["calls"] += 1
        call = study.call()
    call.kill()
    call.wait()
    return done


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_any_process_may_be_killed_at_any_time(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    if name == "cache":
        case = replace(case, extra=(tmp_path / "cache",))
        monkeypatch.setenv(run_cache.ENVIRONMENT, str(tmp_path / "cache"))
        monkeypatch.delenv(run_cache.SHARED, raising=False)
    undisturbed, killed = (Study(tmp_path / word, case) for word in ("undisturbed", "disturbed"))
    undisturbed.complete()
    right = undisturbed.numbers()
    undisturbed.begin_again(odd=True)
    longest = LONGEST * undisturbed.complete()
    assert undisturbed.numbers() == right
    begun = time.monotonic()
    if case.again != ("",):
        killed.complete()
        killed.begin_again(odd=False)
    done = disturbed(killed, longest, right)
    killed.complete()
    assert killed.numbers() == right
    assert not list(killed.results.rglob(".partial-*"))
    print(f"{name}: {dict(done)}, {time.monotonic() - begun:.0f} s")
