"""RMSNorm (Zhang & Sennrich 2019) with its gradients in one function.

Written out in torch's operators it leaves autograd some twenty small ones a call, which in a small
model cost more than its arithmetic.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, eps: float) -> Tensor:
        size = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True)
        inverse = size.square_().div_(inputs.shape[-1]).add_(eps).rsqrt_()
        normalized = inputs * inverse
        ctx.save_for_backward(normalized, inverse, weight)
        output: Tensor = normalized * weight
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        normalized, inverse, weight = ctx.saved_tensors
        products = outer * normalized
        to_inputs = to_weight = None
        if ctx.needs_input_grad[1]:
            to_weight = products.flatten(0, -2).sum(0)
        if ctx.needs_input_grad[0]:
            along = torch.mv(products.flatten(0, -2), weight).div_(len(weight))
            along = along.view(inverse.shape)
            to_inputs = (outer * weight).sub_(normalized.mul(along)).mul_(inverse)
        return to_inputs, to_weight, None


class RMSNorm(nn.Module):
    """Inputs over their root mean square, times a weight a channel: what Llama's form computes."""

    weight: nn.Parameter
    variance_epsilon: float

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., channels] → the same; the mean is taken in float32 at least."""
        if inputs.dtype == self.weight.dtype:
            output: Tensor = _RMSNorm.apply(  # type: ignore[no-untyped-call]
                inputs, self.weight, self.variance_epsilon
            )
            return output
        wide = inputs.float()
        inverse = (wide.square().mean(-1, keepdim=True) + self.variance_epsilon).rsqrt()
        return self.weight * (wide * inverse).to(inputs.dtype)


@torch.no_grad()
def is_alike(module: Any) -> bool:
    """Whether a module computes what `RMSNorm` would in its place."""
    own = dict(module.named_parameters())
    if not hasattr(module, "variance_epsilon") or own.keys() != {"weight"}:
        return False
    weight = module.weight
    kept, example = weight.clone(), torch.linspace(-1, 2, 3 * len(weight)).view(3, -1)
    weight.copy_(example[0] + 0.5)
    theirs, ours = module(example), RMSNorm.forward(module, example)
    weight.copy_(kept)
    return torch.allclose(theirs, ours, rtol=1e-5, atol=1e-6)
