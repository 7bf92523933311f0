"""The plan's sums: bounds on disk, FLOPs of both kinds, GPU hours, times from a calibration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

from proxyscale.base import machine
from proxyscale.base.cost import attribution_flops
from proxyscale.base.progress import duration, note_duration, noted_duration
from proxyscale.study import machine_rates
from proxyscale.study.job_graph import Job
from proxyscale.study.job_times import (
    BYTES,
    FORWARD,
    MERGED,
    PLANNED,
    SCANNED,
    SCHEDULED,
    START,
    Estimate,
    calibrated,
)
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.plan import disk_bytes, told
from proxyscale.study.validation import read_yaml


def job(rule: str, name: str, pending: bool = True) -> Job:
    return Job(rule, f"out/logs/{rule}/{name}.log", pending)


@pytest.fixture
def study(
    minimal: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> LanguageStudy:
    monkeypatch.chdir(tmp_path)
    Path("b").mkdir()
    Path("b/x.jsonl").write_text("x" * 1000)
    minimal["sources"]["a"]["max_bytes"] = 3_200_000
    return LanguageStudy.load(minimal)


def test_a_job_that_has_not_run_takes_what_the_calibration_says(study: LanguageStudy) -> None:
    estimate = Estimate(study, [], lambda scale: {"small": 100.0, "large": None}[scale])
    assert estimate.seconds(job("train", "small/mix/0-0")) == START["train"] + 100
    per_token = 100 / study.scales["small"].tokens
    tokens = FORWARD * 1400 * 16
    assert estimate.seconds(job("evaluate", "small/mix/0-0")) == pytest.approx(
        START["evaluate"] + tokens * per_token
    )
    assert estimate.seconds(job("train", "large/mix/0-0")) is None
    assert estimate.seconds(job("pack", "a")) == START["pack"] + 3_200_000 / BYTES["pack"]
    assert estimate.pool_examples == 3_201_000 // 16


def test_what_several_processes_read_takes_less_on_the_clock(
    minimal: dict[str, Any], tmp_path: Path
) -> None:
    for number in range(4):
        with (tmp_path / f"{number}.txt").open("wb") as file:
            file.truncate(10**9)  # takes no room on the disk
    minimal["sources"]["a"] = {"files": f"{tmp_path}/*.txt", "shards": 3}
    study = LanguageStudy.load(minimal)
    reading = Job("corpus", study.paths.log("corpus/a"), pending=True)
    estimate, clock = (Estimate(study, [], lambda s: None, wall=wall) for wall in (False, True))
    own = START["corpus"] + 4e9 / BYTES["corpus"] + 4e9 / MERGED
    assert estimate.seconds(reading) == pytest.approx(own)
    assert estimate.clock(reading, 2) == pytest.approx(own / 2)
    assert estimate.clock(reading, 8) == pytest.approx(own / 3)
    wall = START["corpus"] + 4e9 / BYTES["corpus"] / 3
    assert clock.seconds(reading) == clock.clock(reading, 8) == pytest.approx(wall)
    packing = Job("pack", study.paths.log("pack/a/0"), pending=True)
    assert estimate.clock(packing, 8) == estimate.seconds(packing)


def test_a_job_that_has_run_takes_what_it_took_and_so_do_its_like(study: LanguageStudy) -> None:
    jobs = [
        job("select", "a", False),
        job("select", "b"),
        job("task", "t", False),
        job("task", "p"),
    ]
    for done, took in ((jobs[0], 7.0), (jobs[2], 40.0)):
        Path(done.log).parent.mkdir(parents=True, exist_ok=True)
        Path(done.log).write_text("said before\n")
        note_duration(Path(done.log), 2 * took, took)
        assert noted_duration(Path(done.log)) == (2 * took, took, machine.key())
    estimate = Estimate(study, jobs, lambda scale: None)
    assert estimate.seconds(jobs[2]) == 40
    assert estimate.seconds(jobs[3]) == START["task"]  # another task is another matter
    rows = [line.split() for line in told(study, estimate, cores=2).splitlines()]
    assert ["task", "2", "1", "1", "1s"] in rows
    assert noted_duration(Path("nowhere.log")) is None


def test_what_its_like_took_on_another_kind_of_machine_counts_where_nothing_else_does(
    study: LanguageStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for done, took, where in (
        (job("evaluate", "small/mix/0-0", False), 9.0, "other"),
        (job("evaluate", "small/mix/0-1", False), 4.0, "mine"),
        (job("task", "t", False), 7.0, "other"),
    ):
        monkeypatch.setattr(machine, "key", lambda where=where: where)
        Path(done.log).parent.mkdir(parents=True, exist_ok=True)
        note_duration(Path(done.log), took, took)
    monkeypatch.setattr(machine, "key", lambda: "mine")
    jobs = [job("evaluate", f"small/mix/0-{seed}", seed > 1) for seed in range(3)]
    jobs += [job("task", "t", False), job("task", "t/again")]
    estimate = Estimate(study, jobs, lambda scale: None)
    assert [estimate.seconds(one) for one in jobs] == [9, 4, 4, 7, 7]


def test_rates_of_this_machine_are_measured_once_and_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def calibrate(model: dict[str, Any], training: dict[str, Any]) -> float:
        calls.append(machine.key())
        return float(training["tokens"] * len(machine.key()))

    model, training = {"width": 8}, {"tokens": 100, "batch_tokens": 10}
    for key in ("ab", "abc", "ab"):
        monkeypatch.setattr(machine, "key", lambda key=key: key)
        rates = machine_rates.MachineRates(tmp_path)
        assert rates.training(model, training, calibrate) == 100 * len(key)
        assert rates.training(model, {**training, "tokens": 50}, calibrate) == 50 * len(key)
    assert calls == ["ab", "abc"]
    assert rates.training({"width": 9}, training, calibrate) == 200
    assert len(calls) == 3
    monkeypatch.setattr(machine_rates, "text_seconds", lambda: 2 * machine_rates.TEXT)
    assert machine_rates.MachineRates(tmp_path).text == 2
    monkeypatch.undo()
    assert machine_rates.text_seconds() > 0
    assert machine_rates.matrix_seconds() > 0


def test_a_slower_machine_takes_longer_and_snakemake_its_own_time(study: LanguageStudy) -> None:
    pack, score = job("pack", "a"), job("score", "small/mix/80/p")
    one = Estimate(study, [pack, score], lambda scale: None)
    two = Estimate(study, [pack, score], lambda scale: None, text=2.0, matrices=2.0)
    assert two.seconds(pack) == pytest.approx(2 * (one.seconds(pack) or 0))
    jobs = [job("task", "t")] * 1000
    estimate = Estimate(study, jobs, lambda scale: None)
    own, work = PLANNED + 1000 * SCHEDULED, 1000 * START["task"]
    told_of = told(study, estimate, 2).splitlines()[-1]
    assert f"{duration(own + work)} of CPU time ({duration(own)} of it Snakemake's own)" in told_of
    assert f"{duration((own + work) / 2)} on 2 cores" in told_of


def test_processes_that_share_a_selection_end_sooner(minimal: dict[str, Any]) -> None:
    minimal["sources"]["a"]["shards"] = 4
    minimal["tasks"]["p"]["target_examples"] = 20
    minimal["distributions"]["like"] = {"method": "dsir", "task": "p", "candidates": 10**9}
    study = LanguageStudy.load(minimal)
    estimate = Estimate(study, [job("select", "like"), job("select", "mix")], lambda scale: None)
    seconds = [estimate.seconds(one) or 0.0 for one in estimate.jobs]
    assert seconds[0] == pytest.approx(START["select"] + 2 * 10**9 * 16 / SCANNED)
    for cores, share in ((1, 1), (2, 2), (4, 4), (64, 4)):
        assert estimate.clock(estimate.jobs[0], cores) == pytest.approx(seconds[0] / share)
        assert estimate.clock(estimate.jobs[1], cores) == seconds[1]
    assert f", {duration(seconds[0] / 4 + PLANNED)} on 64 cores" in told(study, estimate, 64)


def test_ten_steps_are_taken_of_scales_that_are_short_together(minimal: dict[str, Any]) -> None:
    assert calibrated(LanguageStudy.load(minimal)) == ["small", "large"]
    minimal["scales"]["large"]["width"] = 1024
    assert calibrated(LanguageStudy.load(minimal)) == ["small"]
    minimal["training"]["batch_tokens"] = 16 * 10**6
    assert calibrated(LanguageStudy.load(minimal)) == []


def test_disk_and_flops_of_scores_are_bounded(minimal: dict[str, Any], tmp_path: Path) -> None:
    minimal["attribution"] = {"dimension": 64, "models": 2}
    minimal["tasks"]["p"]["target_examples"] = 20
    scored = {"method": "dsdm", "task": "p", "scored_on": "mix", "scale": "small"}
    minimal["distributions"]["d"] = {**scored, "candidates": 80}
    study = LanguageStudy.load(minimal)
    disk = disk_bytes(study, examples=1000)
    targets = 20
    assert disk["features"] == 2 * 64 * 4 * (80 + targets)
    assert disk["pool"] == 1000 * (16 * 2 + 24)
    assert disk["models"] == sum(4 * study.scales[run.scale].parameters for run in study.trained)
    runs = [job("train", "{}/{}/{}-{}".format(*run)) for run in study.trained]
    words = told(study, Estimate(study, runs, lambda scale: 1.0), 2)
    flops = 2 * attribution_flops(study.scales["small"].parameters, 16, 64, 80, 20)
    assert f"{flops:.2e} FLOPs of attribution" in words
    assert "GPU" not in words
    # of a part of the study: nothing that is about the whole
    words = told(study, Estimate(study, runs[:1], lambda scale: 1.0), 2)
    assert "FLOPs of attribution" not in words


# CPU seconds of the default study's jobs on two cores with AVX-512, from their own logs: all of one
# rule about one subject, and how many they are.
TRAINED = {"nano": 0.7, "xxs": 1.51, "xs": 2.32, "s": 3.97, "m": 7.44, "l": 12.3, "ref": 90.6}
TOOK = {
    "corpus": [("docs", 16.0), ("ml", 4.4), ("stdlib", 1.8), ("headers", 0.9), ("tests", 0.8)],
    "pack": [("algebra/0", 8.8), ("docs/0", 3.9), ("headers/0", 5.2), ("stdlib/0", 4.6)],
    "items": [("docs", 4.5), ("mix", 15.2), ("hellaswag_like", 7.7), ("trivia_like", 1.4)],
    "select": [("dsir", 12.3), ("classifier", 14.8), ("mix", 0.8)],
    "train": [("ref/mix/0-0", 90.6), ("l/squad_like-by-s-5pc/0-0", 2.7)],
    "evaluate": [("ref/mix/0-0", 12.2), ("l/mix/0-0", 4.4), ("s/mix/0-0", 3.0)],
    "features": [("s/mix/0-0/32000", 81.9), ("l/random-subset/0-0/12000", 51.0)],
    "score": [("../scores/s/mix/32000/squad_like", 23.6)],
    "compare_scores": [("../scores/compare", 35.1)],
    "rivals": [("../rivals", 14.3)],
    "statistics": [("../statistics", 6.8)],
}


def test_the_default_study_takes_what_it_took() -> None:
    raw = read_yaml(ROOT / "config.yaml")
    study = LanguageStudy.load({**raw, "results": "out"})
    estimate = Estimate(study, [], TRAINED.__getitem__)
    for rule, jobs in TOOK.items():
        logs = [str(Path(os.path.normpath(f"out/logs/{rule}/{name}.log"))) for name, _ in jobs]
        told = [estimate.seconds(Job(rule, log, pending=True)) for log in logs]
        assert None not in told
        took = sum(seconds for _, seconds in jobs)
        assert took / 1.5 < sum(seconds or 0 for seconds in told) < took * 1.5, rule
