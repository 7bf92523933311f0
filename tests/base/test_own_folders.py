"""The tests' guard of what a study has left in the checkout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.paths import ROOT


def test_no_test_reads_what_a_study_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for read in (open, os.listdir, os.scandir):
        for path in (ROOT / "results", "results/statistics.parquet", "tests/../results"):
            with pytest.raises(AssertionError, match="what a study has left"):
                read(path)
    assert (ROOT / "README.md").read_text()


def test_a_folder_that_a_test_made_is_removed_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study" / "results" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(ROOT)
    shutil.rmtree(tmp_path / "study")
    assert not (tmp_path / "study").exists()
