"""A study whose files lie in a storage: Snakemake's plugin for a mounted one stands for all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.workflow_run import Workflow

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not shutil.which("rsync"), reason="the storage plugin fs needs rsync"),
]


def test_a_study_in_a_storage(tmp_path: Path) -> None:
    pytest.importorskip("snakemake_storage_plugin_fs")
    store, folder = tmp_path / "store", tmp_path / "study"
    folder.mkdir()
    store.mkdir()
    workflow = Workflow(folder)
    workflow.config["scales"].pop("s")
    for source in folder.glob("*.jsonl"):
        shutil.copy(source, store)
    words = ["--cores", "2", "--default-storage-provider", "fs"]
    words += ["--default-storage-prefix", str(store)]
    workflow.snakemake(*words)
    assert pq.read_table(store / "results/losses.parquet").num_rows > 0
    assert (store / "results/report.html").stat().st_size > 10_000
    kept = [path for path in (folder / "results").rglob("*") if path.is_file()]
    assert all(".claim" in path.parts or path.name == "study.json" for path in kept)
    assert "Nothing to be done" in workflow.snakemake("--dry-run", *words)
    os.remove(store / "results/losses.parquet")
    assert "collect" in workflow.snakemake("--dry-run", *words, "--", "results/losses.parquet")
