"""How long jobs on images take: by counts, by a probe that is kept, by what finished jobs took."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.image_studies import image_study
from support.paths import ROOT

from proxyscale.base import machine
from proxyscale.base.progress import duration, note_duration
from proxyscale.study.hardware import DEVICES
from proxyscale.study.job_graph import Job, Planned
from proxyscale.study.job_times import LOSSES, PLANNED, SCHEDULED
from proxyscale.study.machine_rates import MachineRates
from proxyscale.study.needs import MARGIN
from proxyscale.study.needs import START as ASKED
from proxyscale.study.plan_jobs import works
from proxyscale.study.validation import read_yaml
from proxyscale.vision import calibration
from proxyscale.vision.job_times import FORWARD, OTHER, START, ImageTimes, Speed, networks, probed
from proxyscale.vision.plan import ImageEstimate, measured_speed
from proxyscale.vision.study import ImageStudy

CPU = DEVICES["cpu"]
SPEED = Speed(trained=1e-3, gradient=5e-3, copied=0.1)


def times(raw: dict[str, Any], speed: Speed | None = SPEED) -> ImageTimes:
    return ImageTimes(ImageStudy.load(raw), CPU, lambda scale: speed)


def planned(rule: str, name: str, pending: bool = True, **wildcards: str) -> Planned:
    return Planned(Job(rule, f"results/logs/{name}.log", pending), wildcards, 0, ())


def run(scale: str, distribution: str, pending: bool = True, ensemble: str = "0-0") -> Planned:
    known = {"scale": scale, "distribution": distribution, "ensemble": ensemble}
    return planned("train_ensemble", f"train/{scale}/{distribution}/{ensemble}", pending, **known)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Rates of a pretended machine, a millionth of a second a channel; how often each is taken."""
    taken: Counter[str] = Counter()
    for number, name in enumerate(("step_seconds", "gradient_seconds", "copy_seconds"), 1):

        def measure(
            model: dict[str, Any], *_: object, name: str = name, number: int = number
        ) -> float:
            taken[name] += 1
            return float(number * 1e-6 * model["channels"])

        monkeypatch.setattr(calibration, name, measure)
    return taken


def test_time_is_linear_in_runs_epochs_and_images() -> None:
    raw = image_study()
    one = times(raw)
    took = one.train_ensemble("wide", "halves", "0-0")
    assert took == pytest.approx(12 * 30 * 4 * SPEED.trained)  # runs, half of 60 images, epochs
    measured = one.evaluate_ensemble("wide", "halves", "0-0", "digits")
    assert measured == pytest.approx(12 * 20 * (FORWARD * SPEED.trained + 1 / LOSSES["collect"]))
    raw["training"]["epochs"] *= 2
    raw["distributions"]["halves"]["draws"] *= 3
    raw["pack"] *= 3
    raw["tasks"]["digits"]["examples"] *= 2
    more = times(raw)
    assert more.train_ensemble("wide", "halves", "0-0") == pytest.approx(6 * took)
    assert more.evaluate_ensemble("wide", "halves", "0-0", "digits") == pytest.approx(6 * measured)
    assert more.subsets("halves") == pytest.approx(3 * one.subsets("halves"))


def test_scores_take_a_gradient_of_every_image_by_every_model_and_checkpoint() -> None:
    slow = SPEED._replace(gradient=2 * SPEED.gradient)
    more = times(image_study(), slow).score_ensemble("narrow", "pool", "0-0")
    more -= times(image_study()).score_ensemble("narrow", "pool", "0-0")
    assert more == pytest.approx(4 * 2 * (60 + 20) * SPEED.gradient)


def test_a_probe_enters_in_place_of_the_device_and_is_not_made_again(
    tmp_path: Path, probe: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = image_study()
    study = ImageStudy.load(raw)
    speed = measured_speed(study, MachineRates(tmp_path))
    assert not probe  # nothing has been asked for
    expected = ImageTimes(study, CPU, speed).train_ensemble("wide", "pool", "0-0")
    assert expected == pytest.approx(4 * 60 * 4 * 4e-6)
    assert speed("wide") == Speed(4e-6, 8e-6, 12e-6)
    assert speed("narrow") == Speed(2e-6, 4e-6, 6e-6)
    assert set(probe.values()) == {2}
    for key, value in (("learning_rate", 0.03), ("epochs", 9)):
        raw["training"][key] = value
    again = measured_speed(ImageStudy.load(raw), MachineRates(tmp_path))
    assert again("wide") == speed("wide")
    assert set(probe.values()) == {2}
    raw["training"]["batch"] = 5
    measured_speed(ImageStudy.load(raw), MachineRates(tmp_path))("wide")
    assert probe == {"step_seconds": 3, "gradient_seconds": 2, "copy_seconds": 2}
    monkeypatch.setattr(machine, "key", lambda: "another")
    measured_speed(study, MachineRates(tmp_path))("wide")
    assert probe == {"step_seconds": 4, "gradient_seconds": 3, "copy_seconds": 3}


def test_what_is_too_dear_to_probe_follows_from_what_is_not(
    tmp_path: Path, probe: Counter[str]
) -> None:
    raw = image_study()
    raw["scales"]["wide"]["channels"] = 512
    study = ImageStudy.load(raw)
    assert probed(study) == ["narrow"]
    speed = measured_speed(study, MachineRates(tmp_path))
    wide, narrow = (study.scales[name].forward_flops for name in ("wide", "narrow"))
    assert speed("wide") == pytest.approx([v * wide / narrow for v in (2e-6, 4e-6, 6e-6)])
    assert probe == {"step_seconds": 1, "gradient_seconds": 1, "copy_seconds": 1}
    raw["scales"]["narrow"]["channels"] = 512
    none = measured_speed(ImageStudy.load(raw), MachineRates(tmp_path))
    assert none("wide") is none("narrow") is None


def test_networks_are_probed_side_by_side_as_they_train() -> None:
    study = ImageStudy.load(image_study())
    assert networks(study, "wide") == min(12, study.scales["wide"].training["stack"])
    raw = image_study()
    raw["training"]["stack"] = 3
    assert networks(ImageStudy.load(raw), "wide") == 3


def test_a_few_steps_are_timed_of_any_shape() -> None:
    scale = ImageStudy.load(image_study()).scales["narrow"]
    assert calibration.step_seconds(scale.model, scale.size, scale.training, 2) > 0
    assert calibration.gradient_seconds(scale.model, scale.size, 3) > 0
    assert calibration.copy_seconds(scale.model, scale.size, 3) > 0


def test_a_finished_job_takes_what_it_took_and_corrects_its_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wide, halves = run("wide", "pool", pending=False), run("wide", "halves")
    narrow, other = run("narrow", "pool", pending=False), run("narrow", "regressed")
    stale = run("wide", "alike")
    table = planned("image_table", "table/tab15", table="tab15")
    report = planned("report", "report")
    jobs = [wide, halves, narrow, other, stale, table, report]
    fresh = ImageEstimate(jobs, times(image_study()), text=2.0)
    assert fresh.seconds(table.job) == 2 * START["image_table"]
    assert fresh.seconds(report.job) == 2 * OTHER
    expected = 2 * START["train_ensemble"] + 4 * 60 * 4 * SPEED.trained
    assert fresh.seconds(wide.job) == pytest.approx(expected)
    for one, where, factor in ((wide, "mine", 3), (narrow, "other", 5), (stale, "mine", 7)):
        monkeypatch.setattr(machine, "key", lambda where=where: where)
        Path(one.job.log).parent.mkdir(parents=True, exist_ok=True)
        note_duration(Path(one.job.log), 1000.0, round(factor * fresh.seconds(one.job), 1))
    monkeypatch.setattr(machine, "key", lambda: "mine")
    later = ImageEstimate(jobs, times(image_study()), text=2.0)
    assert later.seconds(wide.job) == pytest.approx(3 * expected, abs=0.05)
    assert later.seconds(halves.job) == pytest.approx(3 * fresh.seconds(halves.job), rel=0.02)
    assert later.seconds(stale.job) == pytest.approx(3 * fresh.seconds(stale.job), rel=0.02)
    assert later.seconds(other.job) == fresh.seconds(other.job)


def test_small_jobs_are_given_minutes_that_nobody_expects_them_to_take() -> None:
    study = ImageStudy.load(image_study())
    needs, jobs = study.needs(), [planned("subsets", "subsets/helpful/0-0", distribution="helpful")]
    need = needs.subsets("helpful")
    assert need.seconds == pytest.approx(MARGIN * needs.times.subsets("helpful"))
    assert need.seconds < 1
    assert need.slack == MARGIN * 600
    assert need.runtime(1, 1) * 60 >= ASKED + need.slack
    assert works(jobs, [need])[0].seconds == pytest.approx(needs.times.subsets("helpful"))
    assert needs.evaluate_ensemble("wide", "halves", "0-0", "digits").slack == MARGIN * 60


def test_the_plan_tells_cpu_time_and_snakemakes_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: Counter[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    study = ImageStudy.load(image_study())
    jobs = [run("wide", "pool"), run("narrow", "pool"), run("wide", "halves")]
    told = study.plan(jobs, 2, lambda *_: 0.0).splitlines()
    own = duration(PLANNED + 3 * SCHEDULED)
    assert told[-1].startswith("to do: 3 jobs, ")
    assert f"({own} of it Snakemake's own)" in told[-1]
    assert told[-1].endswith(" on 2 cores")
    assert any(line.split()[:4] == ["train_ensemble", "3", "0", "0"] for line in told)
    assert set(probe.values()) == {2}


# What a probe said and what jobs of the digits' study took on a core with AVX2, in CPU seconds.
SPEEDS = {
    "c2": Speed(4.6e-5, 1.8e-4, 0.049),
    "c4": Speed(5.4e-5, 2.0e-4, 0.036),
    "c8": Speed(9.2e-5, 2.6e-4, 0.057),
    "c16": Speed(2.0e-4, 5.3e-4, 0.061),
    "c32": Speed(4.6e-4, 1.4e-3, 0.111),
}
TOOK = {
    "train_ensemble": [
        ("c2/pool", 5.3),
        ("c4/pool", 6.7),
        ("c4/random", 20.2),
        ("c8/pool", 10.2),
        ("c8/regressed", 38.2),
        ("c16/pool", 18.5),
        ("c32/pool", 46.7),
    ],
    "evaluate_ensemble": [("c4/random", 0.4), ("c8/regressed", 1.2), ("c32/pool", 0.6)],
    "score_ensemble": [("c2/pool", 5.7), ("c4/pool", 7.2), ("c16/pool", 20.5), ("c32/pool", 58.5)],
    "subsets": [("/top-influence", 0.1), ("/most-similar", 0.3), ("/same-class", 0.1)],
    "datamodels": [("c8", 108.6)],
    "image_corpus": [("", 0.3)],
    "image_statistics": [("", 73.4)],
}


@pytest.mark.parametrize("rule", TOOK)
def test_the_digits_study_takes_what_it_took(rule: str) -> None:
    study = ImageStudy.load(read_yaml(ROOT / "workflow/studies/vision.yaml") | {"results": "no"})
    jobs = []
    for name, _ in TOOK[rule]:
        scale, _, distribution = name.partition("/")
        known = {"scale": scale, "distribution": distribution, "ensemble": "0-0"}
        known |= {"task": "digits", "source": "digits"}
        jobs.append(planned(rule, f"{rule}/{name}", **known))
    estimate = ImageEstimate(jobs, ImageTimes(study, CPU, SPEEDS.get))
    took = sum(seconds for _, seconds in TOOK[rule])
    assert took / 1.5 < sum(map(estimate.seconds, estimate.jobs)) < took * 1.5
