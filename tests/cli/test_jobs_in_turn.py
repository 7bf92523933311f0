"""Jobs that are alike share a fork, one after another, and are as jobs in forks of their own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.tiny_run import SPEC, command, write_data

from proxyscale.base import job_server
from proxyscale.base.job_server import PREFIX, alike, ask, plain

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux alone")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """What jobs of this process are told of its server."""
    job_server.start()
    yield {**os.environ, "OMP_NUM_THREADS": "1"}
    del os.environ[job_server.ENVIRONMENT]


@pytest.fixture(autouse=True)
def nobody_waits() -> Iterator[None]:
    yield
    while job_server._waiting:
        job_server._waiting.pop().close()


def words(data: Path, out: Path, **spec: Any) -> list[str]:
    """A run as its rule calls it."""
    verb = command(data, out, {**SPEC, **spec}, gpus=0)
    return [*verb[verb.index("train") :], "--log", f"{out}.log", "--gpus", "0"]


def forks() -> list[psutil.Process]:
    """The forks of this process's server."""
    return [fork for server in psutil.Process().children() for fork in server.children()]


def done(asked: job_server.Asked | None) -> int:
    assert asked
    return asked.wait()


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def test_one_fork_trains_one_run_after_another_as_forks_of_their_own_do(
    data: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    seen = []
    for seed in (0, 1, 2):
        assert done(ask(words(data, tmp_path / str(seed), seed=seed), environment, 1)) == 0
        seen.append([fork.pid for fork in forks()])
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 1
    alone = subprocess.run(
        [sys.executable, "-m", "proxyscale", *words(data, tmp_path / "alone", seed=2)],
        env=environment | {job_server.ENVIRONMENT: ""},
    )
    assert alone.returncode == 0
    assert weights(tmp_path / "alone") == weights(tmp_path / "2") != weights(tmp_path / "1")
    assert (tmp_path / "1.log").read_text().count("finished in") == 1


def test_a_job_that_fails_ends_its_fork_alone(
    data: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    good, bad = words(data, tmp_path / "good"), words(data, tmp_path / "bad", draw=7)
    assert [done(ask(job, environment, 1)) for job in (good, bad)] == [0, 2]
    assert not psutil.wait_procs(forks(), timeout=10)[1]
    assert "no draw 7" in (tmp_path / "bad.log").read_text()
    assert done(ask(good, environment, 1)) == 0


def test_a_fork_that_is_killed_costs_the_job_in_hand(
    data: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """And one that is killed while it waits costs none."""
    long = words(data, tmp_path / "long", training={**SPEC["training"], "tokens": 10**8})
    assert done(ask(words(data, tmp_path / "first"), environment, 1)) == 0
    asked = ask(long, environment, 1)
    (fork,) = forks()
    fork.kill()
    assert done(asked) == -signal.SIGKILL
    for name in "second", "third":
        assert done(ask(words(data, tmp_path / name), environment, 1)) == 0
        for fork in forks():
            fork.kill()
        psutil.wait_procs(forks(), timeout=10)
    assert (
        weights(tmp_path / "third") == weights(tmp_path / "second") == weights(tmp_path / "first")
    )


def test_forks_end_with_the_one_who_asks(
    data: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    assert done(ask(words(data, tmp_path / "run"), environment, 1)) == 0
    waiting = forks()
    job_server._waiting.pop().close()
    assert not psutil.wait_procs(waiting, timeout=10)[1]


def test_what_stays_in_a_process_has_one_of_its_own() -> None:
    assert alike(["train", "--gpus", "0"])
    assert alike(["select", "--pool", "a"])
    assert not alike(["train", "--gpus", "20"])
    assert not alike(["select", "--plugin", "mine.py"])
    assert alike(["train", "--execution", '{"compile": false}', "--gpus", "0"])
    assert not alike(["train", "--execution", '{"compile": true}', "--gpus", "0"])
    assert not alike(["figure", "--out", "a"])


@pytest.mark.parametrize(
    "said",
    [
        "a b",
        "it's",
        'a "b"',
        "$HOME *",
        "",
        "~",
        "ä",
        "a\nb",
        '{"a": [1, "it\'s"]}',
        "--x=1,2:3@4%",
    ],
)
def test_plain_words_are_those_that_a_shell_hands_on(said: str) -> None:
    command = f"{PREFIX} python -m proxyscale train --title {shlex.quote(said)} --gpus 0"
    assert plain(command) == ["train", "--title", said, "--gpus", "0"]


@pytest.mark.parametrize(
    "said", ["$HOME", "*", "~", "a; b", "`a`", '"$A"', "a > b", "a\\ b", "a#b"]
)
def test_what_a_shell_would_read_is_left_to_it(said: str) -> None:
    assert not plain(f"{PREFIX} python -m proxyscale train --title {said}")
    assert not plain("python -m proxyscale train")
