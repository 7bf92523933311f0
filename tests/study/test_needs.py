"""What jobs ask of a scheduler: enough, growing, and foretold from the study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

from proxyscale.base import artifacts
from proxyscale.base.progress import note_duration
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.needs import MARGIN, Needs
from proxyscale.study.validation import read_yaml


@pytest.fixture(scope="module")
def default() -> LanguageStudy:
    return LanguageStudy.load(read_yaml(ROOT / "config.yaml"))


def with_scale(raw: dict[str, Any], **words: Any) -> LanguageStudy:
    raw["scales"]["large"].update(words)
    return LanguageStudy.load(raw)


def test_every_attempt_is_given_twice_as_much(default: LanguageStudy) -> None:
    need = Needs(default, gpus=0).train("ref", "mix")
    for attempt in (1, 2, 3):
        assert need.mem_mb(attempt + 1) == 2 * need.mem_mb(attempt)
        assert need.runtime(attempt + 1) == 2 * need.runtime(attempt)


def test_needs_grow_with_the_scale(default: LanguageStudy) -> None:
    needs = Needs(default, gpus=0)
    trained = [needs.train(scale, "mix") for scale in default.scales]
    for found in (trained, [needs.evaluate(scale) for scale in default.scales]):
        assert [need.memory for need in found] == sorted(need.memory for need in found)
        assert found[-1].seconds > 2 * found[0].seconds


def test_more_memory_for_parameters_batches_and_gpus(minimal: dict[str, Any]) -> None:
    small = Needs(with_scale(minimal), gpus=0).train("large", "a").memory
    wide = Needs(with_scale(minimal, width=4096, layers=32), gpus=0)
    parameters = wide.study.scales["large"].parameters
    assert wide.train("large", "a").memory > small + 16 * parameters
    assert wide.train("large", "a").memory < small + 17 * parameters
    big = Needs(with_scale(minimal, batch_tokens=16 * 4096), gpus=0)
    assert big.train("large", "a").memory > wide.train("large", "a").memory
    on_gpu = Needs(with_scale(minimal), gpus=1).train("large", "a")
    assert on_gpu.seconds < Needs(with_scale(minimal), gpus=0).train("large", "a").seconds


def test_the_default_study_fits_what_it_measured(default: LanguageStudy) -> None:
    # CPU seconds of one thread, from a prototype of the default study: 0.7, 50 s.
    needs = Needs(default, gpus=0)
    assert 2 * 0.7 < needs.train("xxs", "mix").seconds < 60
    assert 2 * 50 < needs.train("ref", "mix").seconds < 3600


def test_finished_runs_take_the_place_of_the_formula(
    minimal: dict[str, Any], tmp_path: Path
) -> None:
    minimal["results"] = str(tmp_path)
    study = LanguageStudy.load(minimal)
    guessed = Needs(study, gpus=0).train("large", "a").seconds
    found = study.scales["large"]
    facts = {"parameters": found.parameters, "tokens": found.tokens}
    artifacts.write_json(tmp_path / "runs/large/mix/0-0/manifest.json", facts)
    log = tmp_path / "logs/train/large/mix/0-0.log"
    log.parent.mkdir(parents=True)
    log.touch()
    note_duration(log, 1100.0, 1000.0)
    measured = Needs(study, gpus=0).train("large", "a").seconds
    assert measured == pytest.approx(MARGIN * 1000)
    assert measured != guessed


def test_text_is_read_in_bounded_memory(minimal: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "vast.txt"
    with path.open("wb") as file:
        file.truncate(10**12)  # takes no room on the disk
    source = next(iter(minimal["sources"]))
    minimal["sources"][source] = {"files": str(path), "shards": 100}
    needs = Needs(LanguageStudy.load(minimal), gpus=0)
    vast = [needs.corpus(source), needs.pack(source)]
    assert all(need.memory < 0.15 * 10**12 for need in vast)
    minimal["sources"][source]["shards"] = 200
    assert Needs(LanguageStudy.load(minimal), gpus=0).pack(source).memory < 0.6 * vast[1].memory
