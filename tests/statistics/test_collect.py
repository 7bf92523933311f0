"""Thousands of runs in two tables, by a command that does not grow with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from proxyscale.base import artifacts
from proxyscale.base.paths import Paths
from proxyscale.cli.main import main
from proxyscale.statistics import collect

FACTS: dict[str, Any] = {
    "model": {"vocabulary": 300},
    "versions": {"torch": "2"},
    "parameters": 1000,
    "tokens": 20_000,
    "epochs": 1.5,
    "flops": 1.2e8,
    "final_loss": 3.25,
}


def runs(results: Path, count: int) -> dict[str, Any]:
    """So many runs of one task, all alike; what `collect` is told of them."""
    paths, first = Paths(str(results)), Path(Paths(str(results)).run("xs", "m-0", 0, 0))
    example = np.arange(3)
    losses = {"example": example, "loss": example + 1.0, "tokens": example + 4}
    artifacts.write(first / "losses/t.parquet", pa.table(losses), "run_losses")
    curve = {"step": [1, 2], "tokens": [1, 2], "loss": [3.0, 2.0], "lr": [0.1, 0.1]}
    artifacts.write(first / "curve.parquet", pa.table(curve | {"seconds": [1.0, 2.0]}), "curve")
    artifacts.write_manifest(first / "manifest.json", [first / "curve.parquet"], **FACTS)
    for number in range(1, count):
        folder = Path(paths.run("xs", f"m-{number}", 0, 0))
        (folder / "losses").mkdir(parents=True)
        for name in ("losses/t.parquet", "curve.parquet", "manifest.json"):
            os.link(first / name, folder / name)
    names = [f"m-{number}" for number in range(count)]
    realized = {"xs": {name: ["0-0"] for name in names}}
    return {"runs": realized, "roles": dict.fromkeys(names, "grid"), "tasks": ["t"]}


def words(folder: Path, spec: dict[str, Any]) -> list[str]:
    """The command, its specification in a file."""
    (folder / "said").write_text(f"--spec\n{json.dumps(spec)}")
    given = {"results": "r", "arguments": "said", "losses": "r/l.parquet", "runs": "r/runs.parquet"}
    pairs = [(f"--{key}", str(folder / value)) for key, value in given.items()]
    return ["collect", *(word for pair in pairs for word in pair)]


def test_runs_are_gathered(tmp_path: Path) -> None:
    assert main(words(tmp_path, runs(tmp_path / "r", 4))) == 0
    losses = artifacts.read(tmp_path / "r/l.parquet", "losses").to_pandas()
    assert losses.groupby("distribution").loss.sum().to_dict() == {f"m-{i}": 6.0 for i in range(4)}
    row = artifacts.read(tmp_path / "r/runs.parquet", "runs").to_pylist()[3]
    assert row["distribution"] == "m-3"
    assert (row["seconds"], row["epochs"], row["role"]) == (2.0, 1.5, "grid")


@pytest.mark.slow
def test_twenty_thousand_runs_are_gathered_by_one_short_command(tmp_path: Path) -> None:
    spec = runs(tmp_path / "r", 20_000)
    command = [sys.executable, "-m", "proxyscale", *words(tmp_path, spec)]
    assert len(" ".join(command)) < 2000
    assert (tmp_path / "said").stat().st_size > 1 << 17
    subprocess.run(command, check=True)
    assert len(artifacts.read(tmp_path / "r/runs.parquet", "runs")) == 20_000
    assert len(artifacts.read(tmp_path / "r/l.parquet", "losses")) == 60_000


def test_runs_of_different_devices_are_told() -> None:
    def runs(*kinds: tuple[str | None, str | None]) -> pa.Table:
        devices, precisions = zip(*kinds, strict=True)
        return pa.table({"device": pa.array(devices, pa.string()), "precision": precisions})

    assert collect.mixed(runs(("cpu", "fp32"), ("cpu", "fp32"))) is None
    assert collect.mixed(runs((None, None), (None, None))) is None
    told = collect.mixed(runs(("cpu", "fp32"), ("H100", "bf16"), ("H100", "bf16")))
    assert told is not None
    assert told.endswith(": 2 on H100 in bf16, 1 on cpu in fp32.")
