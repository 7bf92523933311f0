"""What the README shows works, and the files that it names are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.paths import ROOT

from proxyscale import registry
from proxyscale.study.language_study import LanguageStudy

README, CONTRIBUTING = ((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))


def block(language: str) -> str:
    """The first block of code in a language."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


class Texts:
    """Candidates, as far as their text is read."""

    def texts(self) -> list[str]:
        return ["a bc", "incomprehensibilities", ""]


def test_the_method_of_ones_own_scores_texts(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(block("python"))
    registry.load_plugins([plugin])
    try:
        scores = registry.selection["short-words"](Texts(), most=4.5)
        assert np.array_equal(scores, [0, -np.inf, 0])
        assert registry.selection.help("short-words") == "Text of short words."
    finally:
        registry.selection.functions.pop("short-words")


def test_the_sources_and_tasks_of_ones_own_are_a_valid_study() -> None:
    study = yaml.safe_load((ROOT / "config.yaml").read_text())
    own = yaml.safe_load(block("yaml"))
    study["sources"] |= own["sources"]
    study["tasks"] |= own["tasks"]
    loaded = LanguageStudy.load(study)
    assert loaded.config.tasks["questions"].split_by == "title"


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_files_that_are_named_are_there(text: str) -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", text)
    named = re.findall(r"`([\w.-]+/[\w./-]*)`", text)
    assert len(linked + named) > 8
    for name in {*linked, *named} - {"results/", "no-longer-made/"}:
        assert (ROOT / name).exists() or (ROOT / "src/proxyscale" / name).exists(), name


def test_the_map_of_rooms_is_the_contract_of_imports() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = re.search(r"```text\n(.*?)```", CONTRIBUTING, re.DOTALL)
    assert found
    floors = [re.split(r"  +", line)[0] for line in found[1].splitlines()]
    assert floors == contract["contracts"][0]["layers"]
