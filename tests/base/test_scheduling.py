"""How often Snakemake's scheduler looks for jobs to start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

JOBS = 24
SNAKEFILE = f"""
import sys
from proxyscale.base import scheduling
from snakemake.scheduling.job_scheduler import JobScheduler

select, looks = JobScheduler.job_selector, []

def counted(self, jobs):
    looks.append(len(jobs))
    return select(self, jobs)

JobScheduler.job_selector = counted
scheduling.look_when_it_may_help()

rule all:
    input: [f"{{n}}.txt" for n in range({JOBS})]

rule quick:
    output: "{{n}}.txt"
    shell: "touch {{output}}"

rule long:
    output: "{{n}}.txt"
    wildcard_constraints: n="[01]"
    priority: -1
    threads: 2
    shell: "sleep 2; touch {{output}}"

ruleorder: long > quick

onsuccess: print(f"looks: {{len(looks)}}", file=sys.stderr)
"""


def looks(folder: Path, *flags: str) -> int:
    """How often the scheduler looked at waiting jobs until all had run."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--scheduler", "greedy", *flags]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert all((folder / f"{n}.txt").exists() for n in range(JOBS))
    found = re.search(r"looks: (\d+)", run.stderr)
    assert found
    return int(found[1])


def test_a_job_that_runs_long_is_waited_for(tmp_path: Path) -> None:
    assert looks(tmp_path) <= 2 * (JOBS + 1)


def test_jobs_that_the_limit_kept_back_are_started(tmp_path: Path) -> None:
    assert looks(tmp_path, "--max-jobs-per-timespan", "8/1s") > 0
