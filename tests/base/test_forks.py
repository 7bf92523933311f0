"""Work that forks share: in order, with errors as they were raised, and no fork that is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from proxyscale.base.errors import DiskFull, UserError, UserErrors
from proxyscale.base.forks import in_order


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_results_come_in_order_from_as_many_processes(processes: int) -> None:
    def slowest_first(number: int) -> tuple[int, int]:
        time.sleep(0.05 if number == 0 else 0.01)
        return number, os.getpid()

    found = list(in_order(slowest_first, 6, processes))
    assert [number for number, _ in found] == list(range(6))
    workers = {worker for _, worker in found}
    assert workers == {os.getpid()} if processes == 1 else os.getpid() not in workers
    assert 1 <= len(workers) <= min(processes, 6)
    assert processes == 1 or len(workers) > 1
    assert list(in_order(slowest_first, 0, processes)) == []


@pytest.mark.parametrize(
    "error",
    [
        UserError("no such word", where="a.b", value="x", allowed=["xs"], hint="ask"),
        UserErrors([UserError("one"), UserError("two")], "config.yaml"),
        DiskFull("results/a.npy"),
        ValueError("odd"),
    ],
)
def test_an_error_arrives_as_it_was_raised(error: Exception) -> None:
    def fails(number: int) -> int:
        if number == 3:
            raise error
        return number

    before = psutil.Process().children()
    found = in_order(fails, 8, 2)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(error)) as raised:
        next(found)
    assert type(raised.value) is type(error)
    assert str(raised.value) == str(error)
    if isinstance(error, UserError):
        assert isinstance(raised.value, UserError)
        assert raised.value.told() == error.told()
        assert raised.value.where == error.where
    assert psutil.Process().children() == before


def test_a_fork_that_was_killed_is_told_as_want_of_memory() -> None:
    def killed(number: int) -> int:
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(MemoryError, match="a process was killed"):
        list(in_order(killed, 4, 2))


SHARED = """
import time
from proxyscale.base.forks import in_order
list(in_order(lambda number: time.sleep(60), 3, 3))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends forks on Linux alone")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_forks_end_with_their_parent(sent: signal.Signals, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as said:
        parent = subprocess.Popen(
            [sys.executable, "-c", SHARED], stderr=said, start_new_session=True
        )
    until = time.monotonic() + 30
    while len(forks := psutil.Process(parent.pid).children()) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(forks) == 3
    time.sleep(0.2)  # they are at work
    if sent == signal.SIGINT:
        os.killpg(parent.pid, sent)  # as a terminal sends it
    else:
        parent.send_signal(sent)
    parent.wait(timeout=30)
    _, alive = psutil.wait_procs(forks, timeout=30)
    assert alive == []
