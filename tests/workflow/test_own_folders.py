"""Tests are kept from a study's results in the checkout; what they make themselves is theirs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.paths import ROOT


@pytest.mark.parametrize("folder", [ROOT, ROOT / "src"])
def test_results_of_the_checkout_are_refused_from_any_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    left = Path("results" if folder == ROOT else "../results")
    with pytest.raises(AssertionError, match="what a study has left"):
        (left / "curves.json").read_text()
    with pytest.raises(AssertionError, match="what a study has left"):
        list(left.iterdir())


def test_a_folder_that_a_test_made_is_removed_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study" / "results" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(ROOT)
    shutil.rmtree(tmp_path / "study")
    assert not (tmp_path / "study").exists()
