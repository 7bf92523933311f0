"""What a run ends with: two sentences, and where the report lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.synthetic_study import synthetic

from proxyscale.base import artifacts
from proxyscale.reporting.closing_words import ending
from proxyscale.statistics.verdict import verdict, words
from proxyscale.study.own_runs_study import OwnRunsStudy


def test_two_sentences_and_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("recipe,loss\n")
    study = OwnRunsStudy.load({"reference": "ref", "trust": 0.6, "runs": {"table": "t.csv"}})
    assert ending(study) is None
    made = synthetic(distributions=tuple(f"d{i}" for i in range(8)), examples=2)
    for name in ("losses", "runs", "statistics"):
        artifacts.write(getattr(study.paths, name), made[name], name)
    said = ending(study)
    assert said is not None
    first, where = said.splitlines()
    claim = words(verdict(made["statistics"], 0.6)[0]).split(". ")[0]
    assert first.startswith("Losses of xxs go with those of ref at 1/249 of the compute across 8")
    assert first.endswith(f" {claim}.")
    assert where.startswith("results/correlation_fig1.pdf; for the report: snakemake")
    Path(study.paths.report).touch()
    assert ending(study) == f"{first}\nresults/report.html"
    os.utime(study.paths.losses, (2e9, 2e9))
    assert ending(study) is None
