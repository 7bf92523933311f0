"""`propose` and `next` as people call them: tables of any make, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from proxyscale.base.verbs import VERBS
from proxyscale.cli.main import main
from proxyscale.figures import registered  # noqa: F401
from proxyscale.registry import figure
from proxyscale.statistics import mixture_search, proposal

SIZES = {"small": (2e7, 4e8), "large": (2e8, 4e9)}
SOURCES = ("news", "books", "forum")
LOSSES = ["--recipe", "blend", "--scale", "size", "--task", "test", "--metrics", "nll"]
COSTS = ["--parameters", "n_params", "--tokens", "seen"]
WEIGHTS = ["--weights", "blends.csv", "--weights-columns", "pct_*"]


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blends in percent, and a row a loss: the mean is least at half news, half books."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mixture_search, "DRAWN", 100)
    monkeypatch.setattr(mixture_search, "STARTS", 1)
    monkeypatch.setattr(proposal, "SPLITS", 1)
    shares = np.random.default_rng(4).dirichlet(np.ones(3), 16)
    blends = pd.DataFrame({f"pct_{name}": 100 * shares[:, i] for i, name in enumerate(SOURCES)})
    blends.insert(0, "blend", [f"b{i}" for i in range(16)])
    blends.round(4).to_csv("blends.csv", index=False, sep=";")
    rows = [
        {"blend": f"b{i}", "size": size, "n_params": parameters, "seen": seen, "test": test}
        | {"nll": level * (2 + np.exp(-4 * shares[i, place]))}
        for level, (size, (parameters, seen)) in zip((1.0, 0.8), SIZES.items(), strict=True)
        for i in range(16)
        for place, test in enumerate(SOURCES[:2])
    ]
    pd.DataFrame(rows).to_csv("nll.csv", index=False)


def record(name: str) -> dict:
    return json.loads(Path(f"out/{name}.json").read_text())


def test_a_mixture_is_proposed_from_percentages_within_limits(capsys):
    limits = ["--caps", "pct_news=0.3", "--fixed", "pct_forum=0.1"]
    command = ["propose", "nll.csv", *LOSSES, *COSTS, *WEIGHTS, "--reference", "small", *limits]
    assert main([*command, "--results", "out"]) == 0
    said = capsys.readouterr().out
    assert "Proposed from 16 mixtures: 60% pct_books, 30% pct_news, 10% pct_forum" in said
    found = record("proposal")
    assert found["scale"] == "small"
    assert found["weights"]["pct_news"] == pytest.approx(0.3, abs=1e-3)
    assert found["weights"]["pct_forum"] == pytest.approx(0.1, abs=1e-6)
    entry = yaml.safe_load(Path("out/proposal.yaml").read_text())["distributions"]["proposal"]
    assert sum(entry["weights"].values()) == pytest.approx(1, abs=1e-5)
    assert Path("out/proposed_mixture.pdf").exists()


def test_the_next_step_is_planned_and_a_larger_model_foretold(capsys):
    command = ["next", "nll.csv", *LOSSES, *COSTS, "--reference", "large", "--results", "out"]
    assert main([*command, "--forecast", "1B:2e10"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("To be chosen now: b")
    assert said[1].startswith("If nothing new happens between here and 1G parameters: large")
    assert said[2].startswith("No losses are foretold of")
    assert record("next")["forecast"]["flops"] == pytest.approx(6 * 1e9 * 2e10)
    assert main([*command, "--forecast", "70B:1T", "--largest", "small"]) == 0
    assert record("next")["out_of_reach"]
    assert "No forecast: the target takes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["propose", *COSTS], "--weights: a proposal needs the mixtures' weights"),
        (["propose", *WEIGHTS, "--caps", "news=0.3"], "propose.caps: no such source"),
        (["propose", *WEIGHTS, "--caps", "pct_news"], "--caps: is 'pct_news'"),
        (["propose", *WEIGHTS, "--caps", "pct_news=lots"], "--caps: is 'pct_news=lots'"),
        (
            ["propose", *WEIGHTS, "--caps", "pct_news=.1", "--floors", "pct_news=.2"],
            "pct_news: its floor is above its cap",
        ),
        (["propose", *WEIGHTS, *(f"--caps=pct_{s}=.3" for s in SOURCES)], "no mixture fits"),
        (["propose", *WEIGHTS, "--available", "pct_news=1B"], "say how many `tokens`"),
        (["propose", *WEIGHTS, "--objective", "best"], "objective: no such objective"),
        (["propose", *WEIGHTS, "--objective", "news=1,poems=2"], "objective.weights: no such task"),
        (["propose", *WEIGHTS, "--objective", "news=much"], "--objective"),
        (["next", *COSTS, "--forecast", "7B"], "--forecast: is '7B'"),
        (["next", *COSTS, "--forecast", "big:7B"], "parameters: is 'big'"),
        (["next", *COSTS, "--largest", "huge"], "largest: no such scale"),
        (["next"], "no compute is known for"),
    ],
)
def test_mistakes_are_told_in_one_line(options, told, capsys):
    word, *more = options
    command = [word, "nll.csv", *LOSSES, "--reference", "large", "--results", "out", *more]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said


def test_the_verb_that_draws_takes_whatever_a_figure_reads():
    flags = {flag.rstrip("?=") for flag in VERBS["figure"][1]}
    read = {kind for entry in figure.entries.values() for kind in entry.reads}
    assert "proposal" in read
    assert read - flags <= {"images"}  # which is the pool's


def test_a_folder_without_a_study_is_refused(capsys):
    Path("empty").mkdir()
    assert main(["propose", "empty", "--reference", "large", *WEIGHTS]) == 2
    assert "empty" in capsys.readouterr().err
