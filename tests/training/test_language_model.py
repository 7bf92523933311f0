"""The language model: counts, causality, initialization, cross-entropy, files."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support.language_runs import shaken
from support.paths import ROTARY

from proxyscale.base import artifacts
from proxyscale.base.cost import language_parameters
from proxyscale.base.errors import UserError
from proxyscale.training import gpt, language_model

MODEL: dict[str, Any] = {
    "vocabulary": 1024,
    "context": 128,
    "width": 8,
    "layers": 1,
    "heads": None,
    "mlp_ratio": 4,
    "bias": False,
    "tied": False,
    "parametrization": "mup",
    "base_width": 32,
}
SMALL = {**MODEL, "vocabulary": 50, "context": 12, "width": 32, "layers": 2, "heads": 4}


def count(spec: dict[str, Any]) -> int:
    with torch.device("meta"):
        model = gpt.Gpt(spec)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("width", "layers", "parameters"), [(8, 1, 18_224), (64, 3, 287_616)])
def test_parameters_of_the_default_scales(width: int, layers: int, parameters: int) -> None:
    assert count({**MODEL, "width": width, "layers": layers}) == parameters


@pytest.mark.parametrize(
    ("width", "heads", "layers", "context", "parameters"),
    [
        (384, 6, 10, 1024, 37_479_936),
        (640, 10, 10, 1024, 82_127_360),
        (768, 12, 12, 2048, 125_311_488),
        (1024, 16, 24, 2048, 355_985_408),
        (1536, 12, 24, 2048, 760_470_528),
    ],
)
def test_parameters_of_the_paper(
    width: int, heads: int, layers: int, context: int, parameters: int
) -> None:
    shape = {"width": width, "heads": heads, "layers": layers, "context": context}
    spec = {**MODEL, **shape, "vocabulary": 50_368, "bias": True, "tied": True}
    assert count(spec) == parameters


@given(
    heads=st.integers(1, 4),
    channels=st.integers(1, 8),
    layers=st.integers(1, 3),
    bias=st.booleans(),
    tied=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_parameters_are_those_that_cost_foretells(
    heads: int, channels: int, layers: int, bias: bool, tied: bool
) -> None:
    shape = {"heads": heads, "width": heads * channels, "layers": layers}
    spec = {**SMALL, **shape, "bias": bias, "tied": tied}
    assert count(spec) == language_parameters(spec)


def test_width_that_the_heads_cannot_share() -> None:
    with pytest.raises(UserError, match="heads"):
        language_model.build({**SMALL, "heads": 5})


@pytest.mark.parametrize("change", [{}, {"parametrization": "standard", "tied": True}])
def test_a_position_sees_only_what_lies_before_it(change: dict[str, Any]) -> None:
    model = shaken({**SMALL, **change}, 0.3)
    tokens = torch.randint(50, (2, 12))
    other = tokens.clone()
    other[:, 7:] = (other[:, 7:] + 1) % 50
    before, after = model(tokens), model(other)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7], after[:, 7])


def test_logits_are_those_of_a_plain_float64_computation() -> None:
    spec = {**SMALL, "bias": True, "width": 64}
    model = shaken(spec, 0.3)
    tokens = torch.randint(50, (3, 9))
    p = {name: value.double() for name, value in model.state_dict().items()}
    x = p["embedding.weight"][tokens] + p["positions.weight"][:9]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        std = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / std * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    for i in range(2):
        b = f"blocks.{i}"
        q, k, v = linear(f"{b}.qkv", norm(f"{b}.attention_norm", x)).chunk(3, -1)
        heads = []
        for h in range(4):
            part = slice(16 * h, 16 * h + 16)
            scores = q[..., part] @ k[..., part].mT / 4
            scores += torch.full((9, 9), -math.inf).triu(1)
            heads.append(scores.softmax(-1) @ v[..., part])
        x = x + linear(f"{b}.out", torch.cat(heads, -1))
        hidden = linear(f"{b}.up", norm(f"{b}.mlp_norm", x))
        gelu = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
        x = x + linear(f"{b}.down", gelu)
    expected = norm("norm", x) @ p["head.weight"].T / 2  # twice the base width
    torch.testing.assert_close(model(tokens).double(), expected, atol=1e-4, rtol=1e-4)


def test_initialization_follows_the_seed() -> None:
    first, again, other = (
        language_model.build(SMALL, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["blocks.0.qkv.weight"], other["blocks.0.qkv.weight"])


def test_mup_starts_as_the_function_that_knows_nothing() -> None:
    assert not language_model.build(SMALL, seed=0)(torch.randint(50, (2, 12))).any()


def test_llm_foundrys_initialization_is_kaimings() -> None:
    """torch's own kaiming_normal_ of every matrix, residual projections divided by √(2 layers)."""
    own = {"parametrization": "standard", "tied": True, "initialization": "llm-foundry"}
    model = language_model.build({**SMALL, "width": 256, **own}, seed=0)
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        theirs = torch.nn.init.kaiming_normal_(torch.empty_like(parameter), nonlinearity="relu")
        residual = name.endswith(("out.weight", "down.weight"))
        expected = theirs.std() / (math.sqrt(2 * 2) if residual else 1)
        assert parameter.std().item() == pytest.approx(expected.item(), rel=0.05), name
    usual = language_model.build({**SMALL, "width": 256, "parametrization": "standard"}, seed=0)
    assert usual.readout.std() < 0.5 * model.readout.std()


def test_standard_initialization_is_gpt2s() -> None:
    model = language_model.build({**SMALL, "width": 128, "parametrization": "standard"}, seed=0)
    assert model.blocks[0].qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.blocks[0].down.weight.std().item() == pytest.approx(0.01, rel=0.05)


@given(
    rows=st.integers(1, 700),
    vocabulary=st.integers(2, 300),
    width=st.integers(1, 9),
    scale=st.floats(0.1, 20),
)
@settings(max_examples=25, deadline=None)
def test_chunked_cross_entropy_is_torchs(
    rows: int, vocabulary: int, width: int, scale: float
) -> None:
    generator = torch.Generator().manual_seed(rows)
    states = (scale * torch.randn(rows, width, generator=generator)).requires_grad_()
    readout = torch.randn(vocabulary, width, generator=generator).requires_grad_()
    bias = [torch.randn(vocabulary, generator=generator).requires_grad_()] if rows % 2 else []
    targets = torch.randint(vocabulary, (rows,), generator=generator)
    leaves = (states, readout, *bias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language_model, "CHUNK", {"cpu": 0})  # chunks of 128 rows
        loss = language_model.cross_entropy(states, readout, targets, *bias)
        gradients = torch.autograd.grad(3 * loss, leaves)
    logits = states.double() @ readout.double().T + (bias[0].double() if bias else 0)
    expected = F.cross_entropy(logits, targets).clamp(max=87)
    oracle = torch.autograd.grad(3 * F.cross_entropy(logits, targets), leaves)
    if F.cross_entropy(logits, targets, reduction="none").max() < 80:
        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(gradients, oracle, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * max(1, scale))


def test_a_saved_model_gives_the_same_logits(tmp_path: Path) -> None:
    model = shaken({**SMALL, "width": 64}, 0.3)
    language_model.save(language_model.weights(model), tmp_path / "model.safetensors")
    artifacts.write_json(tmp_path / "manifest.json", {"model": {**SMALL, "width": 64}})
    tokens = torch.randint(50, (2, 12))
    assert torch.equal(language_model.load(tmp_path)(tokens), model(tokens))


def test_nothing_imports_torchs_compiler() -> None:
    """It would double the time that a process takes to start."""
    program = (
        "import sys, torch; from proxyscale.training import native\n"
        f"run = native.Run(dict(model={SMALL!r}, seed=0, training=dict(learning_rate=.1,"
        "batch_tokens=24, hidden_learning_rate=.1, weight_decay=0., betas=(.9, .9), eps=1e-8,"
        "warmup=0., clip=1., final_learning_rate=.1, precision='fp32')), 1)\n"
        "run.step(0, torch.zeros(2, 12, dtype=torch.int64))\n"
        "from proxyscale.registry import architecture, load_plugins\n"
        f"load_plugins([{str(ROTARY)!r}]); architecture['rotary-glu'].count({SMALL!r})\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
