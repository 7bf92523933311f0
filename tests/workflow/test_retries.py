"""Only what more memory or time can cure is tried again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml
from support.workflow_run import Workflow

PLUGIN = '''
import os
import signal
from pathlib import Path

from proxyscale.base.errors import UserError
from proxyscale.registry import selection


def note(what):
    with Path("tries").open("a") as file:
        file.write(f"{what}\\n")


@selection
def wrong(candidates):
    """Ends by a mistake of the user's."""
    note("wrong")
    raise UserError("no such thing")


@selection
def broken(candidates):
    """Ends by a fault of its own."""
    note("broken")
    raise ZeroDivisionError


@selection
def killed(candidates):
    """Is killed the first time, as if it had asked for too little memory."""
    note("killed")
    if Path("tries").read_text().split().count("killed") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return candidates.ids.astype(float)
'''


def test_only_what_was_ended_from_outside_is_tried_again(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    with (tmp_path / "plugin.py").open("a") as file:
        file.write(PLUGIN)
    methods = ("wrong", "broken", "killed")
    workflow.config["distributions"] |= {name: {"method": name} for name in methods}
    wanted = [f"results/distributions/{name}.parquet" for name in methods]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(workflow.config, sort_keys=False))
    words = ["--cores", "1", "--retries", "2", "--", *wanted]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr[-2000:]
    tries = (tmp_path / "tries").read_text().split()
    assert {name: tries.count(name) for name in methods} == {"wrong": 1, "broken": 1, "killed": 2}
    assert [Path(tmp_path, path).exists() for path in wanted] == [False, False, True]
