"""A study's jobs by rule: what they need, how long they take on some GPUs, what they took."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

from proxyscale.base.errors import UserError
from proxyscale.base.progress import note_duration
from proxyscale.study import plan_jobs
from proxyscale.study.job_graph import Job, Planned
from proxyscale.study.language_needs import LanguageNeeds
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.needs import MARGIN, Needs
from proxyscale.vision.needs import ImageNeeds

HOW = ("processes", "execution")  # a run is executed: no need


@pytest.fixture
def study(
    minimal: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> LanguageStudy:
    """Its large scale runs on two GPUs."""
    monkeypatch.chdir(tmp_path)
    Path("b").mkdir()
    Path("b/x.jsonl").write_text("x" * 1000)
    minimal["execution"] = {"device": "h100"}
    minimal["scales"]["large"]["gpus"] = 2
    return LanguageStudy.load(minimal)


def planned(pending: bool = True) -> list[Planned]:
    """A chain of a job without a GPU and two runs side by side, and what reads them."""

    def one(rule: str, log: str, after: tuple[int, ...], pending: bool, **known: str) -> Planned:
        return Planned(Job(rule, f"out/logs/{log}.log", pending), known, 0, after)

    known = {"distribution": "mix", "draw": "0", "seed": "0"}
    return [
        one("select", "select/mix", (), pending, distribution="mix"),
        one("train", "train/small/mix/0-0", (0,), True, scale="small", **known),
        one("train", "train/large/mix/0-0", (0,), True, scale="large", **known),
        one("statistics", "statistics", (1, 2), True),
    ]


def test_every_rule_asks_for_the_need_that_the_plan_tells_by_its_name() -> None:
    found = []
    for file in sorted((ROOT / "rules").rglob("*.smk")):
        for rule, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", file.read_text(), re.M):
            told = [name for name in re.findall(r"needs\.(\w+)", body) if name not in HOW]
            found += [(rule, name) for name in told]
    assert len(found) > 40
    for rule, name in found:
        assert name == (rule if name != "reading" else "reading")
        assert name != "reading" or not hasattr(LanguageNeeds, rule), rule
        assert name != "reading" or not hasattr(ImageNeeds, rule), rule


def test_work_is_the_need_without_its_margin_and_what_is_done_takes_no_time(
    study: LanguageStudy,
) -> None:
    needs, jobs = study.needs(), planned(pending=False)
    each = plan_jobs.needed(jobs, needs)
    assert each[1:3] == [needs.train("small", "mix"), needs.train("large", "mix")]
    assert each[3] == needs.reading()
    work = plan_jobs.works(jobs, each)
    assert (work[0].seconds, work[0].gpus) == (0, 0)
    assert (work[2].seconds, work[2].gpus) == (each[2].seconds / MARGIN, 2)
    rows, sums = plan_jobs.by_rule(jobs, needs)
    cells = {row.split()[0]: row.split() for row in rows}
    gpu_hours = (work[1].seconds + 2 * work[2].seconds) / 3600
    assert cells["train"][:4] == ["train", "2", "0", f"{gpu_hours:.3g}"]
    assert cells["select"][:3] == ["select", "1", "1"]
    assert f"to do: 3 jobs, {gpu_hours:.3g} GPU hours" in sums[0]
    assert [line.split(":")[0] for line in sums[1:]] == [
        f"on {fleet} GPUs (h100), 8 cores for each" for fleet in plan_jobs.FLEETS
    ]


def test_so_many_gpus_and_what_takes_longest_on_them(study: LanguageStudy) -> None:
    jobs = planned()
    each = plan_jobs.works(jobs, plan_jobs.needed(jobs, study.needs()))
    told = plan_jobs.on(jobs, study.needs(), 2, None).splitlines()
    assert told[0].startswith("on 2 GPUs (h100) and 16 cores: ")
    assert "for 4 jobs" in told[0]
    assert each[2].seconds > each[1].seconds
    assert "train large/mix/0-0" in told[1]
    assert "train small" not in told[1]
    assert len(told) <= 4
    with pytest.raises(UserError, match=r"a job asks for 2 GPUs, more than 1"):
        plan_jobs.on(jobs, study.needs(), 1, None)


def test_a_study_without_gpus_is_told_of_cores(minimal: dict[str, Any]) -> None:
    jobs = [one for one in planned() if one.job.rule == "statistics"]
    jobs = [one._replace(after=()) for one in jobs]
    told = plan_jobs.on(jobs, LanguageStudy.load(minimal).needs(), 3, None)
    assert told.startswith("on 3 cores: ")


def test_what_jobs_took_is_told_by_rule(study: LanguageStudy) -> None:
    jobs = planned()
    for number, (clock, cpu) in {0: (2.0, 1.5), 1: (1800.0, 900.0), 2: (3600.0, 1800.0)}.items():
        log = Path(jobs[number].job.log)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("said before\n")
        note_duration(log, clock, cpu)
    lines = plan_jobs.spent(jobs, study.needs()).splitlines()
    cells = {line.split()[0]: line.split() for line in lines if line}
    assert cells["train"] == ["train", "2", "2", "1h30m", "45m00s", "1350.0s", "2.5"]
    assert cells["select"] == ["select", "1", "1", "2s", "2s", "1.5s"]
    assert cells["statistics"] == ["statistics", "1", "0", "0s", "0s"]
    assert lines[-1].startswith("spent: 45m02s of CPU time, 1h30m on the jobs' clocks, 2.5 GPU")


def test_of_models_that_are_there_nobody_knows_what_they_take() -> None:
    with pytest.raises(UserError, match="is not known"):
        Needs(study=None).of("measure", {"scale": "1B"})
