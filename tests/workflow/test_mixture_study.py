"""The regression on mixtures of sources in a study that is trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.workflow_run import Workflow

from proxyscale.base import artifacts
from proxyscale.study.language_study import LanguageStudy


def test_weights_are_told_only_where_sources_are_mixed(minimal: dict[str, Any]) -> None:
    assert LanguageStudy.load(minimal).weights is None
    minimal["distributions"]["m"] = {"method": "dirichlet", "count": 4}
    assert LanguageStudy.load(minimal).weights == "out/mixtures.csv"


@pytest.mark.slow
def test_a_mixture_study_is_regressed_and_what_it_proposes_is_trained(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.config["distributions"] = {"m": {"method": "dirichlet", "count": 6}}
    said = workflow.run()
    assert re.search(r"^Proposed from 6 mixtures: .*\nTo be chosen now: m-00\d", said, re.MULTILINE)
    table = artifacts.read(tmp_path / "results/statistics.parquet", "statistics").to_pylist()
    rows = [row for row in table if row["statistic"] == "mixture_linear_spearman"]
    assert {row["proxy"] for row in rows} == {"xs", "s"}
    assert all(row["n"] == 6 and np.isfinite(row["value"]) for row in rows)
    assert not workflow.stale()
    both = ["--configfile", "config.yaml", "results/proposal.yaml"]
    trained = workflow.snakemake("--cores", "2", *both)
    assert len(re.findall(r"^ref/proposal draw 0 seed 0 · \d+ steps", trained, re.MULTILINE)) == 1
    assert "\nTrained at ref the proposal is number" in trained
    record = artifacts.read_json(tmp_path / "results/proposal.json")
    (promise,) = record["promise"]
    assert promise["scale"] == record["scale"] == "ref"
    assert promise["held"] == (record["low"] <= promise["value"] <= record["high"])
    assert record["mixtures"] == 6
    assert not workflow.stale(*both)
    files = [word for file in both[1:] for word in ("--configfile", file)]
    assert "to do: 0 jobs" in workflow.proxyscale("plan", *files)
