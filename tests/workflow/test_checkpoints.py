"""Checkpoints and orders in a study that is trained."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest
from support.workflow_run import Workflow

from proxyscale.base import artifacts


@pytest.mark.slow
def test_checkpoints_are_kept_measured_and_read_as_proxies(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.config |= {"checkpoints": [0.5, 0.75], "order": "independent"}
    workflow.run()
    results = tmp_path / "results"
    early = artifacts.read(results / "checkpoints.parquet", "checkpoints")
    losses = artifacts.read(results / "losses.parquet", "losses")
    assert sorted(early["step"].unique().to_pylist()) == [0.5, 0.75]
    assert len(early) == 2 * len(losses)
    statistics = artifacts.read(results / "statistics.parquet", "statistics")
    mine = statistics.filter(pc.equal(statistics["level"], "checkpoint"))
    names = {f"{scale}@{share}" for scale in ("xs", "s", "ref") for share in (0.5, 0.75)}
    assert set(mine["proxy"].to_pylist()) == names
    rivals = statistics.filter(pc.equal(statistics["level"], "rival"))
    assert set(rivals["proxy"].to_pylist()) == {"ngram", "overlap"}
    assert "checkpoint_sd" in statistics["statistic"].to_pylist()
    metrics = statistics.filter(pc.equal(statistics["level"], "metric"))
    assert {"bits_per_byte", "accuracy", "margin"} <= set(metrics["named"].to_pylist())
    assert not workflow.stale()
    # runs of one seed see the same examples in other orders
    manifests = [
        artifacts.read_json(results / f"runs/{s}/mix/0-0/manifest.json") for s in ("xs", "s")
    ]
    assert [facts["order"] for facts in manifests] == ["xs", "s"]
    workflow.config["checkpoints"] = [0.75]
    assert workflow.stale()["train"] == 9
