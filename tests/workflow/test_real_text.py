"""The study of real text, where its data is: test sets as the study says, every scale read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow.compute as pc
import pytest
from support.paths import ROOT

from proxyscale.base import artifacts
from proxyscale.study.language_study import LanguageStudy

STUDY = ROOT / "tests/studies/real-text.yaml"
TASKS = {"squad", "lambada", "jeopardy", "arc_easy", "piqa", "copa", "wikitext"}


@pytest.mark.slow
def test_the_study_of_real_text(data: Path, tmp_path: Path) -> None:
    for name in ("Snakefile", "rules", "src", "envs", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(STUDY, tmp_path / "study.yaml")
    environment = {**os.environ, "PROXYSCALE_DATA": str(data), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "study.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = tmp_path / "results/real-text"
    assert f"{results.relative_to(tmp_path)}/report.html" in done.stderr

    counts = json.loads((results / "tasks/lambada/manifest.json").read_text())["counts"]
    assert counts["target"]["records"] == 2577
    assert counts["holdout"]["records"] == 5153 - 2577
    statistics = artifacts.read(results / "statistics.parquet", "statistics")
    rows = statistics.filter(pc.field("statistic") == "r2").to_pylist()
    found = {row["task"] for row in rows if row["level"] == "distribution"}
    assert found == TASKS


def test_no_article_of_squad_is_on_both_sides(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxyscale.data.task_records import readers
    from proxyscale.study.validation import read_yaml

    monkeypatch.setenv("PROXYSCALE_DATA", str(data))
    study = LanguageStudy.load(read_yaml(STUDY))
    titles: dict[str, set[str]] = defaultdict(set)
    for split, records in readers(study.words("items", "squad"), {}).items():
        titles[split] = {record["title"] for record in records()}
    assert titles["target"]
    assert titles["holdout"]
    assert not titles["target"] & titles["holdout"]
