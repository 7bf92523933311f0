"""What the workflow says while it runs."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.logging import ColorizingTextHandler, logger
from snakemake_interface_logger_plugins.common import LogEvent

from proxyscale.base.progress import QUIET, logged, note_duration
from proxyscale.study.telling import Teller, Told, tell_less, wrapped


class Call:
    """A call of the workflow: jobs with logs, and what is said when Snakemake tells of them."""

    def __init__(self, folder: Path, *jobs: tuple[str, dict[str, str], float]) -> None:
        self.stream, self.costs = io.StringIO(), {}
        found = []
        for number, (rule, wildcards, cost) in enumerate(jobs):
            log = folder / rule / f"{number}.log"
            log.parent.mkdir(exist_ok=True)
            self.costs[str(log)] = cost
            named = SimpleNamespace(name=rule)
            found.append(
                SimpleNamespace(jobid=number, rule=named, wildcards_dict=wildcards, log=[str(log)])
            )
        target = SimpleNamespace(jobid=99, rule=SimpleNamespace(name="all"), log=[])
        self.found = found
        self.teller = Teller(lambda: [*found, target], lambda t: self.costs[t.log], self.stream)
        self.hear(LogEvent.RUN_INFO)

    def hear(self, event: LogEvent | None, level: int = logging.INFO, msg: str = "", **facts: Any):
        record = logging.LogRecord("snakemake", level, "", 0, msg, (), None)
        record.__dict__.update(facts, event=event)
        self.teller.emit(record)

    def finish(self, number: int, *lines: str) -> None:
        self.hear(LogEvent.JOB_STARTED, jobs=[number])
        log = Path(self.found[number].log[0])
        log.write_text("".join(f"{line}\n" for line in lines))
        note_duration(log, 1.0, 1.0)
        self.hear(LogEvent.JOB_FINISHED, job_id=number)

    def fail(self, number: int, *lines: str) -> None:
        Path(self.found[number].log[0]).write_text("".join(f"{line}\n" for line in lines))
        self.hear(LogEvent.JOB_ERROR, logging.ERROR, jobid=number)

    @property
    def said(self) -> str:
        return self.stream.getvalue()


def run(scale: str, seed: int = 0) -> dict[str, str]:
    return {"scale": scale, "distribution": "mix", "draw": "0", "seed": str(seed)}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxyscale.study.telling.INTERVAL", 0.0)


@pytest.mark.usefixtures("at_once")
def test_what_is_done_is_counted_by_compute(tmp_path: Path):
    call = Call(tmp_path, ("train", run("ref"), 80.0), ("train", run("xs"), 20.0))
    call.finish(1, "ran")
    assert call.said.splitlines()[0] == "2 jobs to run: 2 train"
    assert " 20% of the compute · 1 of 2 jobs · " in call.said
    call.hear(LogEvent.JOB_FINISHED, job_id=99)  # the target itself
    call.finish(0, "ran")
    assert call.said.splitlines()[-1] == "100% of the compute · 2 of 2 jobs"


@pytest.mark.usefixtures("at_once")
def test_lines_are_few_and_narrow(tmp_path: Path):
    jobs = [("train", run("xs" * 90, seed), 1.0) for seed in range(2000)]
    call = Call(tmp_path, *jobs)
    for number in range(2000):
        call.finish(number, "train " + "long " * 1000)
    lines = call.said.splitlines()
    assert 40 <= len(lines) <= 60
    assert max(map(len, lines)) <= 160


def test_what_the_data_gave_and_every_warning_is_told(tmp_path: Path):
    call = Call(tmp_path, ("corpus", {"source": "web"}, 1.0), ("evaluate", run("xs"), 1.0))
    call.finish(0, "read", "corpus web · 60 documents · 2s")
    call.finish(1, "evaluate xs · warning: 3 of 4 were cut")
    assert "corpus web · 60 documents · 2s\n" in call.said
    assert "evaluate xs · warning: 3 of 4 were cut\n" in call.said
    assert "read\n" not in call.said


def test_what_failed_is_told_by_run_and_key(tmp_path: Path):
    jobs = [("train", run("xs", seed), 1.0) for seed in range(3)]
    call = Call(tmp_path, *jobs, ("figure", {"figure": "f"}, 1.0), ("task", {"task": "t"}, 1.0))
    for number in range(3):
        call.fail(
            number,
            f"step {number}",
            f"proxyscale train: training.learning_rate: training diverged at step {number}",
            "  hint: lower learning_rate",
        )
    call.fail(3, "Traceback (most recent call last):", "  File", "ValueError: no such thing")
    call.fail(4)
    told = "\n".join(call.teller.mistakes())
    assert "failed: train xs/mix draw 0 seed 0 (and 2 more like it)" in told
    assert "  scales.xs.learning_rate: training diverged at step 0\n    hint: lower" in told
    assert f"  log: {call.found[0].log[0]}" in told
    assert "failed: figure f\n  ValueError: no such thing" in told
    assert "failed: task t\n  it left no word: it may have been killed" in told
    assert call.said.count("failed: train") == 1


def test_what_fails_and_then_works_has_not_failed(tmp_path: Path):
    call = Call(tmp_path, ("train", run("xs"), 1.0))
    call.fail(0, "killed")
    call.finish(0, "ran")
    assert call.teller.mistakes() == []


def test_what_snakemake_warns_of_is_told(tmp_path: Path):
    call = Call(tmp_path, ("train", run("xs"), 1.0))
    call.hear(None, logging.ERROR, "MissingInputException: " + "no file " * 40)
    call.hear(None, logging.INFO, "Select jobs to execute...")
    call.hear(LogEvent.ERROR, logging.ERROR, "Command 'x' failed", exception="RuleException")
    assert "Command" not in call.said
    assert "MissingInputException" in call.said
    assert "Select jobs" not in call.said
    assert max(map(len, call.said.splitlines())) <= 160


@pytest.fixture
def handler() -> Iterator[ColorizingTextHandler]:
    """Snakemake's own, on its logger; both are as before afterwards."""
    before, own = logger.handlers[:], ColorizingTextHandler(stream=io.StringIO())
    logger.handlers[:] = [own]
    yield own
    logger.handlers[:] = before


PLAIN = dict.fromkeys(
    ("verbose", "printshellcmds", "debug_dag", "quiet", "dryrun", "log_handler_settings"), False
)


@pytest.mark.parametrize("word", PLAIN)
def test_a_word_brings_all_back(word: str, handler: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(QUIET, "")  # so that it is taken back
    monkeypatch.delenv(QUIET)
    settings = SimpleNamespace(**PLAIN | {word: True})
    assert tell_less(settings, list, lambda _: 1.0) is None
    assert logger.handlers == [handler]
    teller = tell_less(SimpleNamespace(**PLAIN), list, lambda _: 1.0)
    assert logger.handlers == [teller]
    assert teller is not None
    assert teller.stream is handler.stream


@pytest.mark.parametrize("quiet", [False, True])
def test_jobs_that_are_told_of_only_log(
    quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.setenv(QUIET, "1") if quiet else monkeypatch.delenv(QUIET, raising=False)
    with logged(tmp_path / "log"):
        import sys

        print("a line", file=sys.stderr)
    assert (tmp_path / "log").read_text() == "a line\n"
    assert capsys.readouterr().err == ("" if quiet else "a line\n")


@given(st.text("ab /:·", max_size=400), st.integers(20, 80))
def test_wrapping_keeps_every_word(text: str, width: int):
    lines = wrapped(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)


def test_a_job_has_a_name():
    assert Told("train", run("xs", 1), "l").name == "train xs/mix draw 0 seed 1"
    assert Told("pool", {}, "l").name == "pool"
