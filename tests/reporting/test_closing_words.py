"""What a run ends with: two sentences, and where the report lies."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.synthetic_study import synthetic

from proxyscale.base import artifacts
from proxyscale.reporting.closing_words import ending
from proxyscale.statistics.verdict import verdict
from proxyscale.statistics.verdict_words import ASSUMPTION, claim
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
    assert first.startswith("Losses of xxs go with those of ref, 249× cheaper, across 8")
    found = verdict(made["statistics"], 0.6)[0]
    assert found.trusted
    assert first.endswith(f" {claim(found)} {ASSUMPTION}")
    assert where.startswith("results/correlation_fig1.pdf; for the report: snakemake")
    Path(study.paths.report).touch()
    assert ending(study) == f"{first}\nresults/report.html"
    os.utime(study.paths.losses, (2e9, 2e9))
    assert ending(study) is None


def ended(folder: Path, **more: object) -> str:
    """What is said of a synthetic study of eight distributions."""
    os.chdir(folder)
    Path("t.csv").write_text("recipe,loss\n")
    study = OwnRunsStudy.load({"reference": "ref", "runs": {"table": "t.csv"}})
    names = tuple(f"d{i}" for i in range(8))
    made = synthetic(distributions=names, examples=2, scales={"s": 20_000, "ref": 90_000}, **more)
    for name in ("losses", "runs", "statistics"):
        artifacts.write(getattr(study.paths, name), made[name], name)
    return ending(study) or ""


def test_what_was_decided_is_said_while_it_is_of_these_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("recipe,loss\n")
    Path("w.csv").write_text("recipe,wiki,web\n")
    runs = {"table": "t.csv", "weights": {"table": "w.csv"}, "tokens_per_parameter": 20}
    study = OwnRunsStudy.load({"reference": "ref", "runs": runs})
    made = synthetic(distributions=tuple(f"d{i}" for i in range(8)), examples=2, tasks=("one",))
    for name in ("losses", "runs", "statistics"):
        artifacts.write(getattr(study.paths, name), made[name], name)
    before = ending(study) or ""
    record = Path(f"{study.paths.next_steps}.json")
    artifacts.write_json(record, {"told": ["Next: a.", "b", "c"], "closing": ["Next: a.", "b"]})
    first, *decided, where = (ending(study) or "").splitlines()
    assert [first, where] == before.splitlines()
    assert decided == ["Next: a.", "b"]
    os.utime(record, (1e9, 1e9))
    assert ending(study) == before


def test_an_inverted_order_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = ended(tmp_path, tasks=("one", "two"), falling="two")
    assert "Losses of s go with those of ref on 1 task and against them on 1, 20.2×" in said
    assert re.search(r"R² from \S+ with r < 0 \(two, .*\) to \S+ \(one, ", said)
    assert ",," not in said
    said = ended(tmp_path, tasks=("two",), falling="two")
    assert said.startswith("two of s falls where that of ref rises")
    # what one distribution less makes of it, with its sign
    told = re.search(r"R² (\S+) with r < 0, −(\S+) to −(\S+) with one left out, most", said)
    assert told
    least, value, most = (float(told[i]) for i in (3, 1, 2))
    assert 0 < least <= value <= most <= 1
