"""What measuring in bf16 changes: losses, R², what one distribution gains over another."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from support.paths import ROOT

from proxyscale.base import artifacts

STUDY = ROOT / "tests/studies/small.yaml"
TARGETS = ("losses.parquet", "statistics.parquet")


def made(folder: Path, precision: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Mean losses of runs, R² of proxies, differences between distributions by scale and task."""
    targets = [f"results/{name}" for name in TARGETS]
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", str(STUDY)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--config", "results=results"]
    done = subprocess.run(
        [*command, f"measured_in={precision}", "--", *targets],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = artifacts.read(folder / targets[0], "losses")
    groups = ["scale", "distribution", "task"]
    means = table.group_by([*groups, "draw", "seed"]).aggregate([("loss", "mean")]).to_pylist()
    losses = {tuple(str(row[key]) for key in (*groups, "draw", "seed")): row for row in means}
    of_cell: dict[tuple[str, ...], list[float]] = {}
    for (scale, distribution, task, *_), row in losses.items():
        of_cell.setdefault((scale, task, distribution), []).append(row["loss_mean"])
    cells = {key: float(np.mean(values)) for key, values in of_cell.items()}
    effects = {
        (*one, other[2]): cells[one] - cells[other]
        for one, other in itertools.combinations(sorted(cells), 2)
        if one[:2] == other[:2]
    }
    wanted = (pc.field("statistic") == "r2") & (pc.field("level") == "distribution")
    rows = artifacts.read(folder / targets[1], "statistics").filter(wanted).to_pylist()
    keys = ("group", "task", "proxy", "reference", "version")
    r2 = {tuple(str(row[key]) for key in keys): row["value"] for row in rows}
    return {
        "mean loss of a run": {key: row["loss_mean"] for key, row in losses.items()},
        "R²": {key: value for key, value in r2.items() if value is not None},
        "difference of two distributions": effects,
    }


@pytest.mark.slow
def test_losses_in_bf16_tell_the_same(tmp_path: Path) -> None:
    exact, half = made(tmp_path, "fp32"), made(tmp_path, "bf16")
    moved = {}
    for name, values in exact.items():
        assert values.keys() == half[name].keys()
        moved[name] = max(abs(half[name][key] - value) for key, value in values.items())
        print(f"{name}: moves by {moved[name]:.1e} at most, of {len(values)}")
    assert 0 < moved["mean loss of a run"] < 0.02
    assert moved["R²"] < 0.02
    assert moved["difference of two distributions"] < 0.02
