"""RMSNorm against torch's, and whom it stands in for."""

from __future__ import annotations

import importlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from proxyscale.training.rms_norm import RMSNorm, _RMSNorm, is_alike


def made(width: int, kind: torch.dtype = torch.float32) -> RMSNorm:
    norm = RMSNorm()
    norm.weight = nn.Parameter(torch.linspace(0.5, 2, width, dtype=kind))
    norm.variance_epsilon = 1e-3
    return norm


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_it_is_torchs(kind: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 5, 12, generator=generator).to(kind)
    norm = made(12)
    expected = F.rms_norm(inputs.float(), (12,), norm.weight, 1e-3)
    worst = 1e-6 if kind == torch.float32 else 1e-2
    torch.testing.assert_close(norm(inputs).float(), expected, rtol=worst, atol=worst)


@pytest.mark.parametrize("frozen", [False, True])
def test_its_gradients_are_those_of_differences(frozen: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 3, 7, generator=generator, dtype=torch.float64).requires_grad_()
    weight = made(7, torch.float64).weight.requires_grad_(not frozen)
    assert torch.autograd.gradcheck(lambda x, w: _RMSNorm.apply(x, w, 1e-3), (inputs, weight))


@pytest.mark.parametrize(
    ("name", "alike"),
    [("llama.LlamaRMSNorm", True), ("olmo2.Olmo2RMSNorm", True), ("gemma.GemmaRMSNorm", False)],
)
def test_it_stands_in_for_norms_that_compute_the_same(name: str, alike: bool) -> None:
    pytest.importorskip("transformers")
    architecture, _, kind = name.partition(".")
    module = f"transformers.models.{architecture}.modeling_{architecture}"
    norm = getattr(importlib.import_module(module), kind)(8, eps=1e-3)
    before = norm.weight.clone()
    assert is_alike(norm) == alike
    assert torch.equal(norm.weight, before)
    assert not is_alike(nn.LayerNorm(8))


class FromOne(RMSNorm):
    """Weights that count from one, as Gemma has them, by Llama's names."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(inputs, inputs.shape[-1:], 1 + self.weight, self.variance_epsilon)


def test_names_alone_make_no_norm_alike() -> None:
    norm = FromOne()
    norm.weight, norm.variance_epsilon = made(8).weight, 1e-3
    assert not is_alike(norm)
    assert is_alike(made(8))
