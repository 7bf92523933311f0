"""A run that processes share, on two nodes or with its states in parts, is that of one process.

gloo on CPUs stands for NCCL on GPUs, and two torchruns here for two nodes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import safetensors.numpy
import torch
from support.paths import ROOT
from support.tiny_run import SPEC, command, curve, trained, write_data

from proxyscale.base import devices, lock
from proxyscale.base.errors import UserError
from proxyscale.training import engines, native, sharding

LAUNCHER = f"{sys.executable} {ROOT}/tests/support/two_nodes.py"
# Few steps that are no larger than what rounding leaves alone: Adam makes of any gradient, however
# small, a step of the learning rate.
STEPS, TOLERANCE = 12, 1e-6
SHARED: dict[str, Any] = {
    **SPEC,
    "model": {**SPEC["model"], "layers": 2, "bias": True, "vocabulary": 41},
    "training": {
        **SPEC["training"],
        "tokens": STEPS * 128,
        "eps": 1e-4,
        "learning_rate": 3e-3,
        "weight_decay": 1e-4,
        "clip": 0.1,
    },
    "checkpoints": [0.5],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: Path) -> Path:
    """The run of one process."""
    trained(data, data / "whole", SHARED)
    return data / "whole"


def same(one: Path, other: Path) -> None:
    """The same run, but for rounding."""
    np.testing.assert_allclose(curve(other), curve(one), rtol=0, atol=TOLERANCE)
    for name in ("model.safetensors", "kept.safetensors"):
        own, wanted = (safetensors.numpy.load_file(run / name) for run in (other, one))
        assert own.keys() == wanted.keys()
        for key, tensor in wanted.items():
            np.testing.assert_allclose(own[key], tensor, rtol=0, atol=TOLERANCE, err_msg=key)
    assert not (other / "checkpoint.safetensors").exists()


def start(words: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("sharded", [pytest.param(False, marks=pytest.mark.slow), True])
def test_two_nodes_train_as_one(data: Path, tmp_path: Path, whole: Path, sharded: bool) -> None:
    how = {"gpus": 2, "nodes": 2, "launcher": LAUNCHER, "sharded": sharded}
    run = start(command(data, tmp_path / "two", SHARED, **how, micro_batch_tokens=32))
    told = run.communicate(timeout=300)[1]
    assert run.returncode == 0, told
    assert told.count(f"{STEPS} steps") == 1
    same(whole, tmp_path / "two")


def test_a_run_in_parts_goes_on_where_it_was_killed(
    data: Path, tmp_path: Path, whole: Path
) -> None:
    out = tmp_path / "parts"
    words = command(data, out, SHARED, gpus=2, sharded=True, checkpoint_minutes=1e-9)
    run, kept = start(words), out / "checkpoint.safetensors"
    while not kept.exists() and run.poll() is None:
        time.sleep(0.002)
    processes = [*psutil.Process(run.pid).children(recursive=True), psutil.Process(run.pid)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)  # so that none goes on before all are killed
    for process in processes:
        process.kill()
    run.communicate()
    psutil.wait_procs(processes, timeout=30)
    saved = safetensors.numpy.load_file(kept)
    assert 0 < saved["points"][-1, 0] < STEPS
    assert saved["model.embedding.weight"].shape == (41, 16)  # whole, as one process writes it
    run = start(words)
    told = run.communicate(timeout=300)[1]
    assert run.returncode == 0, told
    same(whole, out)


def test_on_several_nodes_the_launcher_starts_what_meets(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    given: list[dict[str, str]] = []

    def run(command: list[str], env: dict[str, str], **_: object) -> Any:
        started.append(command)
        given.append(env)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(sys, "argv", ["proxyscale", "train", "--gpus", "16"])
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv(lock.PARENT, "1")
    monkeypatch.setenv(devices.ENVIRONMENT, "0,1")
    execution = {**native.PLAIN, "gpus": 16, "nodes": 2, "launcher": "srun -N {nodes} -c {gpus}"}
    engines.train(Path(), SHARED, Path(), Path(), "", execution)
    ((*words,),) = started
    assert words[:6] == ["srun", "-N", "2", "-c", "8", sys.executable]
    options = dict(word.split("=") for word in words if word.startswith("--") and "=" in word)
    assert options.pop("--rdzv-endpoint").endswith(":" + options.pop("--rdzv-id"))
    assert options == {"--nproc-per-node": "8", "--nnodes": "2", "--rdzv-backend": "c10d"}
    assert words[-4:] == ["proxyscale", "train", "--gpus", "16"]
    assert not {lock.PARENT, devices.ENVIRONMENT} & given[0].keys()


def test_fewer_gpus_than_processes_of_a_node_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    with pytest.raises(UserError, match="8 GPUs of this node are asked for, and 1 are seen"):
        native._processes().__enter__()


def test_without_processes_all_of_a_tensor_lies_here() -> None:
    tensors = [torch.tensor([3.0]), torch.tensor([[4.0]])]
    assert sharding.local(tensors) == tensors
    assert sharding.norm(tensors).item() == 5
    assert sharding.gathered({"a": tensors[0]}, keep=False) == {}
