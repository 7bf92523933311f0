"""A study whose proxy has an architecture of a plugin's, from its training to what it selects."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.paths import ROTARY
from support.workflow_run import Workflow

from proxyscale.base import artifacts

pytestmark = pytest.mark.slow

FOREIGN = {"architecture": "rotary-glu", "parametrization": "standard", "options": {"heads": 2}}
MADE = ("results/distributions/dsdm.parquet", "results/runs/xs/mix/0-0/losses/last.parquet")


def test_an_architecture_of_a_plugin_takes_part(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    (tmp_path / "mine.py").write_text(ROTARY.read_text())
    config = workflow.config
    config["plugins"] = [*config["plugins"], "mine.py"]
    config["scales"]["xs"] = {"width": 8, "layers": 1, **FOREIGN}
    config["selection"] |= {"candidates": 200}
    config["attribution"] = {"dimension": 64, "uncovered": "autograd"}
    config["distributions"] |= {
        "proxy": {"method": "random", "role": "proxy"},
        "dsdm": {"method": "dsdm", "task": "last", "scored_on": "proxy", "scale": "xs"},
    }
    workflow.snakemake("--cores", "2", "--", *MADE)
    manifest = artifacts.read_json(tmp_path / "results/runs/xs/mix/0-0/manifest.json")
    assert manifest["model"]["architecture"] == "rotary-glu"
    assert len(pq.read_table(tmp_path / MADE[0])) == 60
    assert len(pq.read_table(tmp_path / MADE[1])) == 20
    assert not workflow.stale("--", *MADE)
    workflow.edit("mine.py", lambda text: text.replace("100.0 **", "99.0 **"))
    stale = workflow.stale("--", *MADE)
    assert stale == {"train": 2, "evaluate": 1, "features": 1, "score": 1, "select": 1}
