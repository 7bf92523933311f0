"""Models that are there: the shipped studies offline, and a folder of models to a report."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import published_models as made
from support.paths import ROOT

from proxyscale.base import artifacts
from proxyscale.cli.load_study import load
from proxyscale.study.models_study import ModelsStudy
from proxyscale.study.validation import read_yaml

OFFLINE = {"HF_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": f"{ROOT}/src"}


def run(*arguments: str, folder: Path, config: Path) -> str:
    """A command where any contact with the hub would fail."""
    command = [sys.executable, "-m", *arguments, "--configfile", str(config)]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **OFFLINE}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def shipped(name: str) -> ModelsStudy:
    study = load(read_yaml(ROOT / f"workflow/studies/{name}.yaml"))
    assert isinstance(study, ModelsStudy)
    return study


def test_datadecide_is_25_recipes_14_sizes_and_the_seeds_that_ended() -> None:
    models = shipped("datadecide").models
    assert len({m.recipe for m in models}) == 25
    assert len({m.scale for m in models}) == 14
    assert len(models) == 25 * (9 * 3 + 4 + 3)
    places = {(m.hub, m.revision) for m in models}
    assert ("allenai/DataDecide-dolma1_7-1B", "step69369-seed-large-aux-3") in places
    assert ("allenai/DataDecide-c4-4M", "main") in places
    # 100 tokens for each of the parameters that the names round
    for model in models:
        size = {"B": 1e9, "M": 1e6}[model.scale[-1]] * float(model.scale[:-1])
        assert model.tokens is not None
        assert model.tokens == pytest.approx(100 * size, rel=0.1)


def test_pythia_has_its_branches_and_tokens() -> None:
    models = shipped("pythia").models
    assert len(models) == 8 * 7
    places = {(m.hub, m.revision): m.tokens for m in models}
    assert places["EleutherAI/pythia-1.4b-deduped", "step71000"] == pytest.approx(
        71_000 * 2_097_152, rel=1e-3
    )


@pytest.mark.parametrize(
    ("name", "models", "scales"),
    [("pythia", 56, 7), pytest.param("datadecide", 850, 14, marks=pytest.mark.slow)],
)
def test_plans_by_a_dry_run_need_no_network(
    tmp_path: Path, name: str, models: int, scales: int
) -> None:
    config = ROOT / f"workflow/studies/{name}.yaml"
    told = run("proxyscale", "plan", folder=tmp_path, config=config)
    assert f"{models} models, each measured on 4 test sets of 6,500 examples" in told
    rows = [line.split() for line in told.splitlines() if re.search(r"EleutherAI/|allenai/", line)]
    assert len(rows) == scales
    assert sum(int(row[1]) for row in rows) == sum(int(row[2]) for row in rows) == models


@pytest.mark.slow
def test_a_folder_of_models_becomes_a_report_in_bits_per_byte(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    for scale, width, begin in (("1M", 16, False), ("3M", 32, True)):
        for seed, recipe in enumerate("abcd"):
            folder = tmp_path / f"models/{recipe}-{scale}"
            size = made.tokenizer(folder, 300 if begin else 320, begin=begin)
            made.model(folder, seed=seed, vocabulary=size, hidden_size=width)
    said, draw = made.LETTERS.split()[:18], random.Random(0)
    asked = [{"query": " ".join(draw.choices(said, k=9)), "gold": n % 2} for n in range(20)]
    for one in asked:
        one["choices"] = [" ".join(draw.choices(said, k=2)) + str(k) for k in range(2)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked))
    (tmp_path / "mine.yaml").write_text(
        "study: mine\nresults: out\nreference: 3M\n"
        "tasks: {q: {kind: icl, records: {files: q.jsonl}}}\n"
        "models: {folder: 'models/{recipe}-{scale}', recipes: [a, b, c, d], scales: [1M, 3M],\n"
        "         tokens_per_parameter: 20}\n"
    )
    goal = ("snakemake", "--cores", "1", "-s", f"{ROOT}/Snakefile", "out/report.html")
    run(*goal, folder=tmp_path, config=tmp_path / "mine.yaml")
    page = (tmp_path / "out/report.html").read_text()
    assert "every loss is in bits per byte of the scored text" in page
    losses = artifacts.read(tmp_path / "out/losses.parquet", "losses")
    assert len(losses) == 4 * 2 * 20
    assert losses["tokens"].null_count == len(losses)
    again = run(*goal, folder=tmp_path, config=tmp_path / "mine.yaml")
    assert "Nothing to be done" in again
