"""Shares of the sources, and the regression on them in a study that is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.workflow_run import Workflow

from proxyscale.base import artifacts
from proxyscale.selection.mixture_weights import write_mixtures
from proxyscale.statistics.loss_tables import read_weights
from proxyscale.study.language_study import LanguageStudy


def test_shares_are_those_of_the_examples(tmp_path: Path) -> None:
    sources = [{"name": "a", "rows": 10}, {"name": "b", "rows": 5}, {"name": "c", "rows": 20}]
    artifacts.write_json(tmp_path / "pool.json", {"sources": sources})
    ids = {"one": [0, 9, 10, 34], "other": [14, 15, 15, 16]}
    for name, examples in ids.items():
        table = pa.table({"draw": [0] * 4, "example": examples, "score": [0.0] * 4})
        artifacts.write(tmp_path / name, table, "distribution")
    paths = {name: tmp_path / name for name in ids}
    write_mixtures(tmp_path / "mixtures.csv", tmp_path / "pool.json", paths)
    found = read_weights(tmp_path / "mixtures.csv", "*", "recipe")
    assert found == {"one": [0.5, 0.25, 0.25], "other": [0, 0.25, 0.75]}


def test_weights_are_told_only_where_sources_are_mixed(minimal) -> None:
    assert LanguageStudy.load(minimal).weights is None
    minimal["distributions"]["m"] = {"method": "dirichlet", "count": 4}
    assert LanguageStudy.load(minimal).weights == "out/mixtures.csv"


@pytest.mark.slow
def test_a_mixture_study_is_regressed(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    workflow.config["distributions"] = {"m": {"method": "dirichlet", "count": 6}}
    workflow.run()
    table = artifacts.read(tmp_path / "results/statistics.parquet", "statistics").to_pylist()
    rows = [row for row in table if row["statistic"] == "mixture_linear_spearman"]
    assert {row["proxy"] for row in rows} == {"xs", "s"}
    assert all(row["n"] == 6 and np.isfinite(row["value"]) for row in rows)
    assert not workflow.stale()
