"""Products of fp32 matrices on a CPU, by the faster of the two libraries that torch brings along.

torch's own operators call MKL, which on other makers' CPUs than Intel's computes with half of the
vector's width: 110 GFLOP/s on a core of an AMD EPYC 9005, where oneDNN, which torch has for its
convolutions, reaches 250 with the same rounding. Where there is no AVX-512, for small products and
where `torch.backends.mkldnn.flags(enabled=False)` says so, torch's operators are used.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Multiply-adds beyond which oneDNN's fixed cost, some 10 µs a call, pays.
SMALLEST = 1 << 21

# An operator that torch's compiler emits for linear maps; without it, torch's own are used.
_onednn: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_wide = torch.backends.cpu.get_cpu_capability() == "AVX512"


def worth(left: Tensor, right: Tensor) -> bool:
    """Whether oneDNN can and should multiply left [..., k] with right [m, k], transposed."""
    return (
        _wide
        and left.numel() * len(right) > SMALLEST
        and left.device.type == "cpu"
        and left.dtype == right.dtype == torch.float32
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and _onednn is not None
        and bool(torch.backends.mkldnn.enabled)
    )


def _by_onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    output: Tensor = _onednn(inputs, weight, bias, "none", [], "")
    return output


@torch.no_grad()
def transposed_times(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ [p, n] @ right [n, q] → [p, q], without gradients: a weight's from its two signals.

    The narrower one is what oneDNN has transposed in memory.
    """
    if not worth(left.t(), right.t()):
        return (right.t() @ left).t() if left.shape[1] > right.shape[1] else left.t() @ right
    if left.shape[1] > right.shape[1]:
        return _by_onednn(right.t(), left.t()).t()
    return _by_onednn(left.t(), right.t())


class _Linear(torch.autograd.Function):
    """`F.linear` with its gradients, all of them by oneDNN."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _by_onednn(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        to_inputs, to_weight, to_bias = ctx.needs_input_grad
        rows = outer.flatten(0, -2)
        return (
            linear(outer, weight.t()) if to_inputs else None,
            transposed_times(rows, inputs.flatten(0, -2)) if to_weight else None,
            rows.sum(0) if to_bias else None,
        )


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """inputs [..., k] @ weightᵀ [k, m] + bias → [..., m]: `F.linear`, differentiable once.

    A weight of any strides is as fast.
    """
    if worth(inputs, weight):
        output: Tensor = _Linear.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]
        return output
    return F.linear(inputs, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear`, computed by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class TransposedLinear(nn.Module):
    """A linear map whose weight lies as [inputs, outputs]: what GPT-2 calls Conv1D."""

    weight: nn.Parameter
    bias: nn.Parameter

    def forward(self, input: Tensor) -> Tensor:
        """[..., inputs] → [..., outputs]."""
        return linear(input, self.weight.t(), self.bias)
