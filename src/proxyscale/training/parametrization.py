"""Widths that share their hyperparameters: µP through the `mup` package, or the standard way.

µP (Yang et al. 2022, arXiv 2203.03466, Table 8) keeps the optimal learning rate where it is when
the width grows. `mup` records for each parameter which of its dimensions grow; from that follow
the readout's multiplier and the optimizer's learning rates. Under the standard parametrization no
dimension is said to grow, so every multiplier is one and the same code gives the usual model.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import mup
import torch
from mup.infshape import InfDim
from torch import Tensor, nn

from proxyscale.base.errors import UserError
from proxyscale.training import sharding

# mup declares torchvision, which it never imports. A torchvision of another build than torch (of
# CUDA beside a CPU one) breaks who imports it wherever it is found, as transformers does.
sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]

PARAMETRIZATIONS = ("mup", "standard")
Shapes = dict[str, list[float]]  # of parameters by name
# The head dimension at which both parametrizations scale attention alike.
BASE_HEAD = 16


def set_shapes(
    model: nn.Module, shapes: Callable[[int], Shapes], base_width: int, parametrization: str
) -> None:
    """Record on every parameter which dimensions grow with the width, and their multipliers.

    `shapes(width)` are those of the same model at another width. Parameters are not rescaled:
    initialize them after this call, by their fan-in. UserError for an unknown parametrization.
    """
    if parametrization not in PARAMETRIZATIONS:
        message = f"unknown parametrization {parametrization!r}"
        raise UserError(message, value=parametrization, allowed=PARAMETRIZATIONS)
    base = None
    if parametrization == "mup":
        one, two = (shapes(base_width * factor) for factor in (1, 2))
        base = {
            name: [
                InfDim(None if a == b else a, a) for a, b in zip(one[name], two[name], strict=True)
            ]
            for name in one
        }
    # mup would have every readout be of its own class.
    mup.set_base_shapes(model, base, rescale_params=False, do_assert=False)


def extrapolated(make: Callable[[int], nn.Module], width: int) -> Shapes:
    """The shapes at a width, extrapolated from widths 1 and 2: every dimension is linear in it.

    Models on the meta device would do, but initializing one imports torch's compiler.
    """
    one, two = mup.get_shapes(make(1)), mup.get_shapes(make(2))
    return {
        name: [a + (b - a) * (width - 1) for a, b in zip(one[name], two[name], strict=True)]
        for name in one
    }


def attention_scale(head_width: int, parametrization: str) -> float:
    """What multiplies the logits of attention: 1/√d, or √16/d under µP.

    Queries and keys become correlated in training, so their inner product grows like d and not
    like √d (Yang et al. 2022, Definition 4.1). The two agree at a head dimension of 16.
    """
    if parametrization == "standard":
        return 1 / math.sqrt(head_width)
    return math.sqrt(BASE_HEAD) / head_width


def width_multiplier(parameter: Tensor) -> float:
    """Width over base width along the parameter's (fan-in) dimension that grows; else 1."""
    return float(parameter.infshape.width_mult())  # type: ignore[attr-defined]


class AdamW:
    """AdamW (Loshchilov & Hutter 2019) by torch's fused kernel, in place on lists of tensors.

    Equal to `torch.optim.AdamW(fused=True)` bit for bit. Constructing any torch optimizer imports
    the compiler, which costs as much CPU time as training a small proxy.
    `groups`: dicts of `params`, `lr` (the peak) and `weight_decay`, as torch's optimizers take.
    """

    def __init__(
        self, groups: Iterable[Mapping[str, Any]], *, betas: tuple[float, float], eps: float
    ) -> None:
        self.betas = betas
        self.eps = eps
        self.groups = [_Moments(group) for group in groups if group["params"]]

    @torch.no_grad()
    def step(self, factor: float = 1.0, divisor: Tensor | None = None) -> None:
        """One update from the parameters' `.grad`, at `factor` times each group's peak rate.

        Gradients are first divided by `divisor` (a scalar tensor), in place: clipping for free.
        """
        for group in self.groups:
            group.count += 1
            parameters, gradients, means, squares = group.tensors()
            torch._fused_adamw_(
                parameters,
                gradients,
                means,
                squares,
                [],
                group.counts,
                lr=group.rate * factor,
                beta1=self.betas[0],
                beta2=self.betas[1],
                weight_decay=group.weight_decay,
                eps=self.eps,
                amsgrad=False,
                maximize=False,
                grad_scale=divisor,
            )

    def state(self) -> dict[str, Tensor]:
        """Its tensors by name: running means and the count of updates, to be kept and put back."""
        found: dict[str, Tensor] = {}
        for number, group in enumerate(self.groups):
            for kind in ("means", "squares"):
                tensors = getattr(group, kind)
                found |= {f"optimizer.{number}.{kind}.{i}": t for i, t in enumerate(tensors)}
            found[f"optimizer.{number}.count"] = group.count
        return found


class _Moments:
    """The parameters of one group with their running means and the count of updates."""

    def __init__(self, group: Mapping[str, Any]) -> None:
        self.parameters: list[Tensor] = list(group["params"])
        self.rate: float = group["lr"]
        self.weight_decay: float = group["weight_decay"]
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.count = torch.zeros((), device=self.parameters[0].device)
        self.counts = [self.count] * len(self.parameters)
        self.parted = sharding.parted(self.parameters[0])

    def tensors(self) -> list[list[Tensor]]:
        """Parameters, gradients, means and squares, or the parts of them that lie here."""
        gradients: list[Tensor] = [p.grad for p in self.parameters]  # type: ignore[misc]
        found = [self.parameters, gradients, self.means, self.squares]
        return [sharding.local(tensors) for tensors in found] if self.parted else found


def optimizer(model: nn.Module, hidden: Iterable[Tensor], training: Mapping[str, Any]) -> AdamW:
    """AdamW for a model whose shapes are set, with µP's learning rates.

    `hidden`, the matrices from width to width, take `hidden_learning_rate` × base width / width
    (Yang et al. 2022, Table 8, Adam); all others `learning_rate`. `weight_decay` is decoupled: a
    step shrinks a parameter by weight_decay × (rate / peak rate), whatever width and peak are.
    """
    matrices = list(hidden)
    known = set(map(id, matrices))
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    decay = training["weight_decay"]
    groups = [
        {"params": parameters, "lr": rate, "weight_decay": decay / rate}
        for parameters, rate in (
            (matrices, training["hidden_learning_rate"]),
            (others, training["learning_rate"]),
        )
    ]
    # mup divides a matrix' rate by its multiplier and multiplies its decay: the product stays.
    options = {"betas": tuple(training["betas"]), "eps": training["eps"]}
    made: AdamW = mup.optim.MuAdam(groups, impl=AdamW, **options)
    return made
