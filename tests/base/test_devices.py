"""GPUs that jobs take one each; the devices are made up."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

from proxyscale.base import devices
from proxyscale.base.errors import UserError
from proxyscale.training import language_model

JOB = """
import os, random, sys, time
from pathlib import Path
from proxyscale.base import devices
devices.LOCKS = Path(sys.argv[1])
devices.take(devices.slots(float(sys.argv[2])) if sys.argv[2] != "0" else 0)
begun = time.monotonic()
time.sleep(random.uniform(0.05, 0.3))
print(os.environ.get("CUDA_VISIBLE_DEVICES", ""), begun, time.monotonic())
if sys.argv[2] == "1":
    os.kill(os.getpid(), 9) if random.random() < 0.3 else None
"""


def start(folder: Path, count: float, shared: str = "7,8,MIG-a/1") -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), devices.ENVIRONMENT: shared}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    environment["PYTHONUNBUFFERED"] = "1"
    command = [sys.executable, "-c", JOB, str(folder), str(count)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_no_two_jobs_have_a_gpu_at_once(tmp_path: Path) -> None:
    jobs = [start(tmp_path, count) for count in [1] * 12 + [2] * 3]
    taken = [job.communicate(timeout=60)[0].split() for job in jobs]
    spans: dict[str, list[tuple[float, float]]] = {}
    for names, begun, ended in taken:
        for name in names.split(","):
            spans.setdefault(name, []).append((float(begun), float(ended)))
    assert set(spans) == {"7", "8", "MIG-a/1"}
    assert sum(map(len, spans.values())) == 18
    for own in spans.values():
        own.sort()
        assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(own))


def test_shares_lie_side_by_side_and_never_beside_a_whole(tmp_path: Path) -> None:
    jobs = {start(tmp_path, count, "7,8"): count for count in [0.25] * 12 + [0.6] * 3 + [1, 2] * 2}
    events = []
    for job, count in jobs.items():
        names, begun, ended = job.communicate(timeout=60)[0].split()
        for name in names.split(","):
            share = min(count, 1)
            events += [(float(begun), share, name), (float(ended), -share, name)]
    used, together = dict.fromkeys("78", 0.0), 0
    for _, share, name in sorted(events):
        used[name] += share
        together = max(together, round(used[name] / 0.25) if share == 0.25 else 0)
        assert used[name] < 1.001
    assert together > 1


def test_what_cannot_be_had_is_waited_for(tmp_path: Path) -> None:
    job = start(tmp_path, 2, shared="7")
    with pytest.raises(subprocess.TimeoutExpired):
        job.communicate(timeout=1)
    job.kill()
    job.communicate()


def test_a_job_without_gpus_or_under_a_scheduler_takes_none(tmp_path: Path) -> None:
    names, *_ = start(tmp_path, 0).communicate(timeout=60)[0].split(" ")
    assert names == ""
    names, *_ = start(tmp_path, 1, shared="").communicate(timeout=60)[0].split(" ")
    assert names == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("named", "found"), [("", []), ("-1", []), ("3", ["3"]), ("0,GPU-ab", ["0", "GPU-ab"])]
)
def test_visible_devices(monkeypatch: pytest.MonkeyPatch, named: str, found: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert devices.visible() == found


class Driver:
    """NVML of a container that holds the third of a host's GPUs, and one that is lost."""

    def __init__(self, failed: int = 0) -> None:
        self.failed = failed

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return self.failed

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number: int, handle: Any) -> int:  # noqa: N802
        handle._obj.value = 100 + number
        return 15 if number else 0

    def nvmlDeviceGetUUID(self, handle: Any, name: Any, length: int) -> int:  # noqa: N802
        assert (handle.value, length) == (100, ctypes.sizeof(name))
        name.value = b"GPU-03c5"
        return 0

    def nvmlShutdown(self) -> int:  # noqa: N802
        return 0


def test_gpus_have_the_drivers_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert devices.visible() == ["GPU-03c5"]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(failed=9))
    assert devices.visible() == []
    monkeypatch.undo()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "NVML", "libno-such-driver.so")
    assert devices.visible() == []


def test_fewer_gpus_than_asked_for_are_told() -> None:
    assert devices.check(["0"], devices.Most(0.25, "scales.s", "auto")) is None
    assert devices.check(list("01234567"), devices.Most(8, "scales.s", "h100")) is None
    told = devices.check([], devices.Most(8, "scales.s", "auto"))
    assert (
        told == "scales.s: a job asks for 8 GPUs, and this machine has none: CPU cores do its work"
    )
    for found, named in ((["0"], "auto"), ([], "h100")):
        with pytest.raises(UserError, match=r"scales.s: a job asks for 2 GPUs"):
            devices.check(found, devices.Most(2, "scales.s", named))


def test_one_machine_is_not_several_nodes() -> None:
    for found in ([], ["0", "1"]):
        with pytest.raises(UserError, match=r"scales.s: a job asks for 2 nodes"):
            devices.check(found, devices.Most(2, "scales.s", "auto", nodes=2))


def test_a_job_whose_gpu_torch_does_not_see_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv(devices.ENVIRONMENT, raising=False)
    monkeypatch.setattr(devices, "_given", False)
    assert language_model.device().type == "cpu"
    devices.take(1)
    with pytest.raises(UserError, match="given a GPU, and torch sees none"):
        language_model.device()
    monkeypatch.setenv(devices.PRETENDED, "1")
    assert language_model.device().type == "cpu"
    devices.take(0)
    monkeypatch.delenv(devices.PRETENDED)
    assert language_model.device_name() == "cpu"
