"""A study whose proxy a program of one's own trains, from its training to what it selects."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.paths import ROOT
from support.workflow_run import Workflow

from proxyscale.base import artifacts

pytestmark = pytest.mark.slow

COMMAND = f"{shlex.quote(sys.executable)} mine.py --data {{data}} --spec {{spec}} --out {{out}}"
MADE = ("results/distributions/dsdm.parquet", "results/runs/xs/mix/0-0/losses/last.parquet")


def test_runs_of_a_trainer_of_ones_own_take_part(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    trainer = (ROOT / "tests/trainers/nano.py").read_text()
    (tmp_path / "mine.py").write_text(trainer)
    config = workflow.config
    config["scales"]["xs"] = {"width": 16, "layers": 1, "parametrization": "standard"}
    config["scales"]["xs"]["engine"] = {"command": COMMAND}
    config["selection"] |= {"candidates": 200}
    config["attribution"] = {"dimension": 64}
    config["distributions"] |= {
        "proxy": {"method": "random", "role": "proxy"},
        "dsdm": {"method": "dsdm", "task": "last", "scored_on": "proxy", "scale": "xs"},
    }
    workflow.snakemake("--cores", "2", "--", *MADE)
    manifest = artifacts.read_json(tmp_path / "results/runs/xs/mix/0-0/manifest.json")
    assert any(name.startswith("trainer ") for name in manifest["versions"])
    assert len(pq.read_table(tmp_path / MADE[0])) == 60
    assert len(pq.read_table(tmp_path / MADE[1])) == 20
    assert not workflow.stale("--", *MADE)
    workflow.edit("mine.py", lambda text: text + "\n# another trainer\n")
    stale = workflow.stale("--", *MADE)
    assert stale == {"train": 2, "evaluate": 1, "features": 1, "score": 1, "select": 1}
