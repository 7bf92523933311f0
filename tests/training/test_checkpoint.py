"""How a run is executed changes nothing of it: interruptions, micro-batches, processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from support.tiny_run import SPEC, command, curve, trained, write_data

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.training import checkpoint, language_model, native


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def same(one: Path, other: Path) -> None:
    """Bit for bit the same run."""
    for name in ("model.safetensors", "manifest.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    np.testing.assert_array_equal(curve(one), curve(other))
    assert not (other / "checkpoint.safetensors").exists()


FOLDERS = ("whole", "again")


class Stop(Exception):
    """An interruption."""


@pytest.mark.parametrize("step", [1, 20, 39])
def test_an_interrupted_run_goes_on_bit_for_bit(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    spec = {**SPEC, "checkpoints": [0.25, 0.75]}
    trained(data, tmp_path / "whole", spec)
    original, taken = native.Run.step, []

    def interrupted(run: native.Run, at: int, pieces: Any) -> None:
        taken.append(at)
        if at == step and len(taken) == step + 1:
            raise Stop
        original(run, at, pieces)

    monkeypatch.setattr(native.Run, "step", interrupted)
    with pytest.raises(Stop):
        trained(data, tmp_path / "again", spec, checkpoint_minutes=0)
    assert not (tmp_path / "again/manifest.json").exists()
    trained(data, tmp_path / "again", spec, checkpoint_minutes=0)
    assert taken == [*range(step + 1), *range(step, 40)]
    same(tmp_path / "whole", tmp_path / "again")
    kept = [safetensors.numpy.load_file(tmp_path / out / "kept.safetensors") for out in FOLDERS]
    assert kept[0].keys() == kept[1].keys()
    for name, tensor in kept[0].items():
        np.testing.assert_array_equal(kept[1][name], tensor)


def test_kept_weights_are_those_after_a_share_of_the_steps(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = native.Run.step, {}

    def noted(run: native.Run, at: int, pieces: Any) -> None:
        original(run, at, pieces)
        named = language_model.weights(run.model).items()
        seen[at + 1] = {name: tensor.numpy().copy() for name, tensor in named}

    monkeypatch.setattr(native.Run, "step", noted)
    trained(data, tmp_path / "run", {**SPEC, "checkpoints": [0.001, 0.5, 0.99]})
    for share, step in ((0.001, 1), (0.5, 20), (0.99, 40)):
        model = language_model.load(tmp_path / "run", share)
        assert not model.training
        for name, tensor in language_model.weights(model).items():
            np.testing.assert_array_equal(tensor.numpy(), seen[step][name])
    files = artifacts.read_json(tmp_path / "run/manifest.json")["files"]
    assert set(files) == {"model.safetensors", "kept.safetensors"}
    trained(data, tmp_path / "plain")
    assert not (tmp_path / "plain/kept.safetensors").exists()
    np.testing.assert_array_equal(curve(tmp_path / "plain"), curve(tmp_path / "run"))


def test_a_killed_run_goes_on_bit_for_bit(data: Path, tmp_path: Path) -> None:
    spec = {**SPEC, "training": {**SPEC["training"], "tokens": 120 * 128}}
    trained(data, tmp_path / "whole", spec)
    out = tmp_path / "killed"
    words = command(data, out, spec, checkpoint_minutes=1e-9)
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    kept = out / "checkpoint.safetensors"
    while not kept.exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = safetensors.numpy.load_file(kept)["points"][-1, 0]
    assert 0 < done < 120
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    same(tmp_path / "whole", out)


def test_another_runs_checkpoint_is_left_alone(tmp_path: Path) -> None:
    ours = checkpoint.Checkpoint(tmp_path, ["a"], 0)
    assert ours.load() is None
    assert ours.due()
    ours.save({"x": torch.ones(2)})
    assert checkpoint.Checkpoint(tmp_path, ["b"], 0).load() is None
    assert checkpoint.Checkpoint(tmp_path, ["a"], None).load() is not None
    assert not checkpoint.Checkpoint(tmp_path, ["a"], None).due()
    assert not checkpoint.Checkpoint(tmp_path, ["a"], 10).due()
    ours.remove()
    assert ours.load() is None


@pytest.mark.parametrize("tokens", [16, 48, 100])
def test_micro_batches_add_up_to_the_batch(data: Path, tmp_path: Path, tokens: int) -> None:
    """Also where they do not divide it: 3 + 3 + 2 pieces of 16 tokens."""
    whole = trained(data, tmp_path / "whole")
    parts = trained(data, tmp_path / "parts", micro_batch_tokens=tokens)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=2e-5)


@pytest.mark.parametrize("micro", [pytest.param(None, marks=pytest.mark.slow), 32])
def test_two_processes_train_as_one(data: Path, tmp_path: Path, micro: int | None) -> None:
    """torchrun and gloo, which stand for torchrun and NCCL."""
    whole = trained(data, tmp_path / "whole")
    words = command(data, tmp_path / "two", SPEC, gpus=2, micro_batch_tokens=micro)
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "40 steps" in done.stderr
    np.testing.assert_allclose(curve(tmp_path / "two"), whole, rtol=0, atol=2e-5)
    weights = [
        safetensors.numpy.load_file(tmp_path / out / "model.safetensors")
        for out in ("whole", "two")
    ]
    for name, tensor in weights[0].items():
        np.testing.assert_allclose(weights[1][name], tensor, rtol=0, atol=1e-4)


def test_processes_share_whole_pieces_only() -> None:
    with pytest.raises(UserError, match="3 processes cannot share 8 pieces"):
        native.Run(SPEC, 1, world=3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about itself
def test_a_compiled_run_is_the_same(data: Path, tmp_path: Path) -> None:
    whole = trained(data, tmp_path / "whole")
    compiled = trained(data, tmp_path / "compiled", compile=True)
    np.testing.assert_allclose(compiled, whole, rtol=0, atol=2e-5)
