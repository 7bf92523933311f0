"""The paper's jobs at true shapes on one GPU; the same at small shapes where there is none.

Every test prints what it measured and on which device: `pytest -s -m gpu`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from support.language_runs import LENGTH, write_pool, write_run, write_task
from support.paths import ROOT

from proxyscale.attribution import features, scores
from proxyscale.base import artifacts
from proxyscale.cli.load_study import load
from proxyscale.study.hardware import DEVICES
from proxyscale.study.language_needs import operations
from proxyscale.study.validation import read_yaml
from proxyscale.training import language_model, native
from proxyscale.vision import resnet

pytestmark = pytest.mark.gpu

GPU = torch.cuda.is_available()
STEPS, WARM = 8, 3  # steps, and those of them that are not timed
SMALL = {"width": 32, "heads": 2, "layers": 2, "context": 64, "vocabulary": 512}
LEAST = {"125M": 0.35, "350M": 0.45}  # MFU on an H100
# What a name that CUDA tells is called here.
NAMES = {"A40": "a40", "A100": "a100", "H100": "h100", "H200": "h200"}


@pytest.fixture(scope="module")
def study() -> Any:
    return load(read_yaml(ROOT / "workflow/studies/paper-language.yaml"))


def named() -> str | None:
    """The device's name in the table of devices, if it is there."""
    told = language_model.device_name()
    return next((name for word, name in NAMES.items() if word in told), None)


def shape(study: Any, scale: str) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Model, training and micro batch of a scale; small without a GPU."""
    found = study.scales[scale]
    micro = found.execution["micro_batch_tokens"] if GPU else 4 * SMALL["context"]
    model = found.model if GPU else {**found.model, **SMALL}
    return model, {**found.training, "batch_tokens": 2 * micro, "tokens": 2 * micro * STEPS}, micro


@pytest.mark.parametrize("scale", LEAST)
def test_training_reaches_its_share_of_the_peak(study: Any, scale: str) -> None:
    model, training, micro = shape(study, scale)
    execution = {**native.PLAIN, "micro_batch_tokens": micro, "compile": GPU}
    run = native.Run({"model": model, "training": training, "seed": 0}, STEPS, execution)
    pieces = torch.randint(model["vocabulary"], (2 * micro // model["context"], model["context"]))
    if GPU:
        torch.cuda.reset_peak_memory_stats()
    for step in range(STEPS):
        if step == WARM:
            run.losses[step - 1].item()
            start = time.monotonic()
        run.step(step, pieces)
    losses = run.losses.tolist()
    seconds = (time.monotonic() - start) / (STEPS - WARM)
    assert losses[-1] < losses[0]  # the same pieces, step after step
    parameters = sum(parameter.numel() for parameter in run.parameters)
    rate = operations(model, parameters, 2 * micro) / seconds
    print(f"\n{scale}: {2 * micro / seconds:,.0f} tokens/s on {language_model.device_name()}")
    if GPU:
        held = torch.cuda.max_memory_allocated()
        need = study.needs().train(scale, "mix").gpu_memory
        print(f"peak memory {held / 1e9:.1f} GB, asked for {need / 1e9:.1f} GB")
        assert held <= need
    if name := named():
        share = rate / DEVICES[name].peak["bf16"]
        print(f"MFU {share:.1%} of {name}'s dense bf16 peak")
        assert name not in ("h100", "h200") or share >= LEAST[scale]


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_features_are_made_within_memory(study: Any, tmp_path: Path, precision: str) -> None:
    pool = write_pool(tmp_path)
    model = {k: v for k, v in study.scales["125M"].model.items() if k != "family"}
    wide = {"width": model["width"], "heads": model["heads"], "layers": model["layers"]}
    run = write_run(tmp_path / "run", **(wide if GPU else {}))
    examples = features.pool_examples(pool, np.arange(40))
    start = time.monotonic()
    spec = {"dimension": 512, "seed": 0, "precision": precision}
    features.featurize(tmp_path / "made", run, examples, spec)
    rows = len(examples.ids) / (time.monotonic() - start)
    print(f"\n{precision}: {rows:,.1f} examples of {LENGTH} tokens a second")
    found = np.load(tmp_path / "made/features.npy")
    assert np.isfinite(found).all()
    assert (np.abs(found).max(1) > 0).all()


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_less_precise_features_rank_candidates_alike(
    study: Any, tmp_path: Path, precision: str
) -> None:
    pool = write_pool(tmp_path)
    model = {k: v for k, v in study.scales["125M"].model.items() if k != "family"}
    wide = {"width": model["width"], "heads": model["heads"], "layers": model["layers"]}
    run = write_run(tmp_path / "run", **(wide if GPU else {}))
    parts = {
        "pool": features.pool_examples(pool, np.arange(150)),
        "target": features.task_examples(write_task(tmp_path / "task", pool), "target"),
    }
    found = []
    for how in ("fp32", precision):
        made = {name: tmp_path / f"{how}-{name}" for name in parts}
        for name, examples in parts.items():
            spec = {"dimension": 512, "seed": 0, "precision": how}
            features.featurize(made[name], run, examples, spec)
        out = tmp_path / f"{how}.parquet"
        scores.score(out, [made["pool"]], [made["target"]], {"ridge": 0.3})
        found.append(artifacts.read(out, "score")["score"].to_numpy())
    alike = spearmanr(*found).statistic
    print(f"\n{precision}: rank correlation of scores {alike:.5f} {language_model.device_name()}")
    assert alike >= 0.99


@pytest.mark.skipif(not GPU, reason="a CPU would be held against itself")
def test_losses_are_those_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    model = {**SMALL, "mlp_ratio": 4, "bias": True, "tied": True}
    model |= {"parametrization": "standard", "base_width": 32}
    training = {**native_training(), "precision": "fp32"}
    pieces = torch.randint(SMALL["vocabulary"], (8, SMALL["context"]))
    found = []
    for device in ("cuda", "cpu"):
        monkeypatch.setattr(language_model, "device", lambda device=device: torch.device(device))
        run = native.Run({"model": model, "training": training, "seed": 0}, 20)
        for step in range(20):
            run.step(step, pieces)
        found.append(run.losses.cpu().numpy())
    np.testing.assert_allclose(*found, atol=1e-4)


def native_training() -> dict[str, Any]:
    words = {"learning_rate": 6e-4, "hidden_learning_rate": 6e-4, "weight_decay": 4e-4}
    words |= {"betas": [0.9, 0.95], "eps": 1e-8, "clip": 1.0, "warmup": 0.1}
    words |= {"final_learning_rate": 0.1, "batch_tokens": 8 * SMALL["context"]}
    return {**words, "tokens": 20 * words["batch_tokens"]}


def test_one_process_exchanges_gradients_with_itself(tmp_path: Path) -> None:
    kind = "nccl" if GPU else "gloo"
    torch.distributed.init_process_group(
        kind, init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        model = torch.nn.Linear(3, 2).to(language_model.device())
        together = torch.nn.parallel.DistributedDataParallel(model)
        inputs = torch.ones(4, 3, device=language_model.device())
        together(inputs).sum().backward()
        found = model.weight.grad
        assert found is not None
        assert torch.equal(found.cpu(), torch.full((2, 3), 4.0))
    finally:
        torch.distributed.destroy_process_group()


def test_a_pack_of_networks_at_true_width() -> None:
    own = load(read_yaml(ROOT / "workflow/studies/paper-cifar10.yaml")).scales["rn-1_16"]
    stack, batch = (own.training["stack"], own.training["batch"]) if GPU else (2, 4)
    device = language_model.device()
    model = resnet.build(own.model, range(stack)).to(device)
    images = torch.randn(batch, stack * own.model["colors"], own.size, own.size, device=device)
    model(images).square().mean().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(g is not None and bool(torch.isfinite(g).all()) for g in gradients)
