"""The paper's language study: its numbers, its jobs and its plan, without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.paper_data import pins
from support.paths import ROOT

from proxyscale.figures import paper
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.validation import read_yaml

FILE = ROOT / "workflow/studies/paper-language.yaml"


@pytest.fixture(scope="module")
def study() -> LanguageStudy:
    return LanguageStudy.load(read_yaml(FILE))


def test_the_scales_are_the_papers_to_the_digit(study: LanguageStudy) -> None:
    assert list(study.scales) == list(paper.SCALES)
    printed = {name: own.printed_parameters for name, own in paper.SCALES.items()}
    assert sum(count is not None for count in printed.values()) == 5
    for name, scale in study.scales.items():
        own = paper.SCALES[name]
        wanted = {key: value for key, value in own.model.items() if key in scale.model}
        assert {key: scale.model[key] for key in wanted} == wanted
        assert printed[name] in (None, scale.parameters)
        if own.tokens:
            assert abs(scale.tokens - own.tokens) <= paper.TRAINING["batch_tokens"] / 2
    assert study.scales["57M"].parameters == 57_837_568
    inferred = [line for line in FILE.read_text().splitlines() if "[I]" in line]
    assert [re.search(r"(57|220)M:", line) is not None for line in inferred].count(True) == 2


def test_training_is_that_of_table_20(study: LanguageStudy) -> None:
    for scale in study.scales.values():
        said = {key: value for key, value in paper.TRAINING.items() if key != "warmup"}
        assert {key: scale.training[key] for key in said} == said
        steps = scale.tokens // scale.training["batch_tokens"]
        assert round(scale.training["warmup"] * steps) == 100


def test_tasks_and_selections_are_as_the_paper_says(study: LanguageStudy) -> None:
    tasks = study.config.tasks
    assert set(tasks) == {"c4", "pile", "squad", "lambada", "hellaswag", "copa", "trivia"}
    assert (tasks["squad"].examples, tasks["squad"].target_examples) == (10_557, 23_107)
    assert (tasks["lambada"].examples, tasks["lambada"].target_examples) == (2570, 2577)
    assert len(study.grid) == 10
    assert study.config.attribution.dimension == paper.DIMENSION
    assert {s.candidates for s in study.scorings} == {f"{paper.EXAMPLES}@c4"}
    # the reference sees every example of a distribution once
    assert study.config.selection.size * 2048 >= study.scales["760M"].tokens


def test_every_dataset_is_pinned_and_to_one_commit() -> None:
    found = pins(read_yaml(FILE))
    assert len(found) == 15
    assert all(re.fullmatch("[0-9a-f]{40}", revision) for _, revision in found)
    assert len(dict(found)) == len(set(found))


def offline(*arguments: str, folder: Path) -> str:
    """A command where any contact with the hub would fail."""
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": f"{ROOT}/src"}
    command = [sys.executable, "-m", *arguments, "--configfile", str(FILE)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_its_plan_by_a_dry_run_needs_no_network(tmp_path: Path) -> None:
    told = offline("proxyscale", "plan", folder=tmp_path)
    assert re.search(r"760M +760,470,528 +15\.3G .* 27 +0 +[\d.]{7}", told)
    # Table 9: three models each of 4.30e20, 1.20e21 and 2.62e21, here for two tasks together
    assert "1.28e+22 FLOPs of attribution" in told
    assert "80,000,000 × 15,360 by each of 3 models of 125M: 4.92TB in fp32, 2.46TB in fp16" in told
    assert re.search(r"to do: [\d,]+ jobs, [\d,]{5,} GPU hours, [\d,]+ core hours", told)
    assert re.search(r"on 8 GPUs \(h100\), 8 cores for each: \d+d", told)
    assert re.search(r"on 64 GPUs \(h100\), 8 cores for each: \d+d", told)
    assert re.search(r"disk, at most: \d.*TB \(.*features \d.*TB", told)
    assert re.search(r"memory of a job, at most: pack [\d.]+GB, select [\d.]+GB", told)
    jobs = dict(re.findall(r"^ *(\w+) +(\d+) ", told, re.MULTILINE))
    # the grid, three models of three proxies, seven selections with two seeds each
    assert int(jobs["train"]) == 7 * 10 + 9 + 14
    assert int(jobs["feature_shard"]) == 9 * 64
    assert int(jobs["pack"]) == 64 + 8 + 8 + 4 + 4 + 4
