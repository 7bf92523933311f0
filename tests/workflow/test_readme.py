"""What the README shows works, and the files that it names are there."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT

from proxyscale import registry
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.validation import read_yaml

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


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The study of one's own as it stands, beside the files that it names."""
    (tmp_path / "mine.yaml").write_text(block("yaml"))
    rng = random.Random(0)
    words = [f"w{i}" for i in range(400)]
    said = [" ".join(rng.choices(words, k=120)) for _ in range(2600)]
    questions = []
    for n in range(300):
        context = rng.choices(words, k=20)
        answers = {"text": [context[n % 20]], "answer_start": [0]}
        asked = {"context": " ".join(context), "question": f"{context[0]} {context[1]}?"}
        questions.append({"title": f"t{n % 40}", "answers": answers, **asked})
    texts = [{"text": f"Article {i}. {text}"} for i, text in enumerate(said)]
    for name, records in (("raw/a", texts), ("filtered/a", texts[::2]), ("questions", questions)):
        file = tmp_path / f"{name}.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(map(json.dumps, records)))
    return tmp_path


def test_the_study_of_ones_own_stands_as_it_is(own: Path, monkeypatch) -> None:
    monkeypatch.chdir(own)
    study = LanguageStudy.load(read_yaml("mine.yaml"))
    study.check_inputs()
    assert len(study.runs) == 3 * 3 * 2
    assert len(block("yaml").splitlines()) <= 15


@pytest.mark.slow
def test_the_study_of_ones_own_ends_in_a_report(own: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", ROOT / "Snakefile"]
    done = subprocess.run([*command, "--configfile", "mine.yaml"], cwd=own, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (own / "results/mine/report.html").stat().st_size > 10_000


def test_the_readme_and_the_report_that_it_links_to_are_short() -> None:
    assert len(README.encode()) < 12_000
    (linked,) = re.findall(r"\]\((\S+\.html)\)", README)
    assert (ROOT / linked).stat().st_size <= 300_000


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_files_that_are_named_are_there(text: str) -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", text)
    named = re.findall(r"`([\w.-]+/[\w./-]*)`", text)
    assert len(linked + named) > 8
    made = ("results/", "no-longer-made/")
    for name in (name for name in {*linked, *named} if not name.startswith(made)):
        assert (ROOT / name).exists() or (ROOT / "src/proxyscale" / name).exists(), name


def test_the_map_of_rooms_is_the_contract_of_imports() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = re.search(r"```text\n(.*?)```", CONTRIBUTING, re.DOTALL)
    assert found
    floors = [re.split(r"  +", line)[0] for line in found[1].splitlines()]
    assert floors == contract["contracts"][0]["layers"]
