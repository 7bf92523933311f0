"""The llm-foundry engine: what it is told, and that it trains as the native one does.

The latter needs llm-foundry's own environment: `make test-foundry`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.tiny_run import SPEC, command, curve, trained, write_data

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.training import language_model, native
from proxyscale.training.curve import Curve
from proxyscale.training.llm_foundry_config import configuration, mpt_name

PYTHON = os.environ.get("PROXYSCALE_FOUNDRY", "")
needs_foundry = pytest.mark.skipif(not PYTHON, reason="PROXYSCALE_FOUNDRY names no interpreter")
STANDARD = {"parametrization": "standard", "tied": True, "bias": True, "heads": 2, "layers": 2}
MUP = {"parametrization": "mup", "tied": False, "bias": False, "heads": 1, "width": 48}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def spec(model: dict[str, Any], **training: Any) -> dict[str, Any]:
    return {
        **SPEC,
        "model": {**SPEC["model"], **model},
        "training": {**SPEC["training"], "weight_decay": 1e-2, "precision": "fp32", **training},
    }


def run_both(
    data: Path, folder: Path, model: dict[str, Any], steps: int = 40, **execution: Any
) -> None:
    """Train by both engines; the curves must agree, and the trained models on every row."""
    ours = trained(data, folder / "native", spec(model, tokens=steps * 128))
    chosen = spec(model, tokens=steps * 128, engine="llm-foundry")
    theirs = trained(data, folder / "foundry", chosen, foundry=PYTHON, **execution)
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4)
    rows = torch.from_numpy(np.load(data / "pack/inputs.npy").astype(np.int64))
    losses = []
    for engine in ("native", "foundry"):
        logits = language_model.load(folder / engine)(rows[:, :-1]).transpose(1, 2)
        losses.append(F.cross_entropy(logits, rows[:, 1:], reduction="none").detach().numpy())
    np.testing.assert_allclose(losses[1], losses[0], rtol=0, atol=1e-4)
    print("largest difference along the curve:", np.abs(theirs - ours).max())
    print("largest difference of a token's loss:", np.abs(losses[1] - losses[0]).max())
    assert not (folder / "foundry/foundry").exists()


@needs_foundry
@pytest.mark.parametrize("model", [STANDARD, MUP], ids=["standard", "mup"])
def test_both_engines_train_the_same_model(
    data: Path,
    tmp_path: Path,
    model: dict[str, Any],
) -> None:
    run_both(data, tmp_path, model)


@needs_foundry
def test_llm_foundry_with_micro_batches_in_two_processes(data: Path, tmp_path: Path) -> None:
    run_both(data, tmp_path, STANDARD, gpus=2, micro_batch_tokens=32)


@needs_foundry
def test_a_killed_llm_foundry_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "foundry"
    execution = {"foundry": PYTHON, "checkpoint_minutes": 1 / 60}
    own = spec(STANDARD, tokens=400 * 128, engine="llm-foundry")
    words = command(data, out, own, **execution)
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        while not list(out.glob("foundry/checkpoints/*.pt")) and process.poll() is None:
            time.sleep(0.02)
        process.kill()
    told = len((out / "foundry/losses.jsonl").read_text().splitlines())
    assert 0 < told < 400
    run_both(data, tmp_path, STANDARD, steps=400, checkpoint_minutes=1 / 60)
    assert len(curve(out)[0]) == 100


def test_every_parameter_has_its_rate_and_its_name() -> None:
    for model in (STANDARD, MUP):
        own = spec(model)
        built = language_model.build(own["model"], 0)
        curve = Curve(own, 40, language_model.device())
        config = configuration(Path("x"), own, built, curve, "fp32", native.PLAIN)
        names = [mpt_name(name) for name, _ in built.named_parameters()]
        assert len(set(names)) == len(names)
        groups = config["optimizer"]["param_groups"]
        for name in names:
            found = [g for g in groups if re.search(g["param_str_match"], f"model.{name}")]
            assert len(found) <= 1, name
            found.append(config["optimizer"])
            hidden = re.search(r"blocks.*(Wqkv|_proj)\.weight", name)
            scaled = 3e-3 * 32 / own["model"]["width"] if model is MUP else 3e-3
            assert found[0]["lr"] == pytest.approx(scaled if hidden else 3e-2)
            assert found[0]["weight_decay"] == pytest.approx(1e-2)


FAKE = """#!{python}
import json, pathlib, shutil, sys
if sys.argv[1] == "-c":
    print("0.22.0")
    sys.exit()
folder = pathlib.Path(sys.argv[3]).parent
print("a warning of a library")
for step in range({steps}):
    print("proxyscale", json.dumps(dict(step=step, loss={loss}, seconds=step / 2)), flush=True)
{end}
shutil.copy(folder / "initial.safetensors", folder / "final.safetensors")
"""


def fake(folder: Path, steps: int = 40, loss: str = "3.0 - step / 40", end: str = "") -> str:
    """An interpreter that trains nothing."""
    path = folder / "python"
    path.write_text(FAKE.format(python=sys.executable, steps=steps, loss=loss, end=end))
    path.chmod(0o755)
    return str(path)


def test_what_llm_foundry_says_becomes_the_runs_artifacts(data: Path, tmp_path: Path) -> None:
    own = spec(STANDARD, engine="llm-foundry")
    table = trained(data, tmp_path / "run", own, foundry=fake(tmp_path))
    np.testing.assert_allclose(table[2], 3 - np.arange(40) / 40, rtol=1e-6)
    manifest = artifacts.read_json(tmp_path / "run/manifest.json")
    assert manifest["versions"]["llm-foundry"] == "0.22.0"
    assert manifest["tokens"] == 40 * 128
    start = language_model.build(own["model"], 0).state_dict()
    loaded = language_model.load(tmp_path / "run").state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in start.items())
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "curve.parquet",
        "manifest.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize(
    ("worker", "told"),
    [
        ({"steps": 3, "end": "sys.exit('out of memory')"}, r"ended with 1(.|\n)*out of memory"),
        ({"loss": "float('nan')"}, "diverged at step 1"),
    ],
)
def test_what_goes_wrong_in_llm_foundry_is_told(
    data: Path,
    tmp_path: Path,
    worker: dict[str, Any],
    told: str,
) -> None:
    with pytest.raises(UserError, match=told):
        trained(
            data,
            tmp_path / "run",
            spec(MUP, engine="llm-foundry"),
            foundry=fake(tmp_path, **worker),
        )
    assert not (tmp_path / "run/manifest.json").exists()


def test_a_missing_interpreter_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such interpreter(.|\n)*make foundry"):
        trained(data, tmp_path, spec(MUP, engine="llm-foundry"), foundry="no/such/python")
