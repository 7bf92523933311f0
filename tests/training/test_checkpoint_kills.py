"""A run that is killed again and again, wherever it is, ends as one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from support.tiny_run import SPEC, command, curve, write_data

KILLS = 20
STEPS = 600


def start(words: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, stderr=subprocess.DEVNULL, env=environment)


def kill_one(call: subprocess.Popen[bytes], chance: random.Random) -> None:
    """Kill the job or one of its processes; all of them end."""
    processes = [psutil.Process(call.pid), *psutil.Process(call.pid).children(recursive=True)]
    os.kill(chance.choice(processes).pid, signal.SIGKILL)
    call.wait(timeout=60)
    assert not psutil.wait_procs(processes, timeout=30)[1]


@pytest.mark.slow
@pytest.mark.parametrize(("gpus", "sharded"), [(0, False), (2, False), (2, True)])
def test_a_run_that_is_killed_again_and_again(tmp_path: Path, gpus: int, sharded: bool) -> None:
    """In one process, and in two under torchrun and gloo, which stand for torchrun and NCCL."""
    data, chance = write_data(tmp_path), random.Random(0)
    spec: dict[str, Any] = {**SPEC, "training": {**SPEC["training"], "tokens": STEPS * 128}}
    begun = time.monotonic()
    how = {"gpus": gpus, "sharded": sharded, "checkpoint_minutes": 1e-9}
    words = command(data, tmp_path / "whole", spec, **how)
    assert start(words).wait() == 0
    longest = time.monotonic() - begun
    words = command(data, tmp_path / "killed", spec, **how)
    kills = finished = 0
    while kills < KILLS:
        call = start(words)
        try:
            call.wait(timeout=chance.uniform(0, longest))
            assert call.returncode == 0
            finished += 1
            (tmp_path / "killed" / "manifest.json").unlink()
        except subprocess.TimeoutExpired:
            kill_one(call, chance)
            kills += 1
    assert start(words).wait() == 0
    for name in ("model.safetensors", "manifest.json"):
        one, other = (tmp_path / run / name for run in ("whole", "killed"))
        assert one.read_bytes() == other.read_bytes(), name
    np.testing.assert_array_equal(curve(tmp_path / "whole"), curve(tmp_path / "killed"))
    assert not list((tmp_path / "killed").rglob("checkpoint*"))
    print(f"{kills} kills, {finished} finished in between")
