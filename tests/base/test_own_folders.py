"""The tests' guard of what a study has left in the checkout."""

from __future__ import annotations

import os

import pytest
from support.paths import ROOT


def test_no_test_reads_what_a_study_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for read in (open, os.listdir, os.scandir):
        for path in (ROOT / "results", "results/statistics.parquet", "tests/../results"):
            with pytest.raises(AssertionError, match="what a study has left"):
                read(path)
    assert (ROOT / "README.md").read_text()
