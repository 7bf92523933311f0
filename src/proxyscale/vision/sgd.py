"""SGD with one cycle of the learning rate, whose maximum follows the width (µP)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import mup
import torch
from torch import nn


class SGD:
    """SGD with momentum by torch's fused kernel, in place on lists of tensors.

    Equal to `torch.optim.SGD(fused=True)` bit for bit. Constructing any torch optimizer imports
    the compiler, which costs more CPU time than training a small network.
    `groups`: dicts of `params`, `lr` (the maximum) and `weight_decay`, as torch's optimizers take.
    """

    def __init__(self, groups: Iterable[Mapping[str, Any]], *, momentum: float, **_: float) -> None:
        self.momentum = momentum
        self.groups = [group for group in groups if group["params"]]
        self.buffers = [[torch.zeros_like(p) for p in group["params"]] for group in self.groups]
        self.first = True

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update from the parameters' `.grad`, at `factor` times each group's rate."""
        for group, buffers in zip(self.groups, self.buffers, strict=True):
            torch._fused_sgd_(
                group["params"],
                [parameter.grad for parameter in group["params"]],
                buffers,
                weight_decay=group["weight_decay"],
                momentum=self.momentum,
                lr=group["lr"] * factor,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=self.first,
            )
        self.first = False


def optimizer(model: nn.Module, training: Mapping[str, Any]) -> SGD:
    """SGD for a model whose shapes are set, with µP's learning rates (Yang et al. 2022, Table 8).

    `training`: learning_rate (its maximum), momentum, weight_decay (coupled: added to gradients).
    """
    names = ("momentum", "weight_decay")
    options = {name: training[name] for name in names} | {"lr": training["learning_rate"]}
    made: SGD = mup.optim.MuSGD(model.parameters(), impl=SGD, **options)
    return made


def one_cycle(step: int, steps: int, training: Mapping[str, Any]) -> float:
    """The learning rate of a step as a share of its maximum.

    Rises linearly from initial_learning_rate / learning_rate over the share `warmup` of the steps,
    then falls to zero, `decay` being "linear" or "cosine" (Khaddaj et al., Table 16).
    """
    initial = training["initial_learning_rate"] / training["learning_rate"]
    rising = training["warmup"] * steps
    if step < rising:
        return float(initial + (1 - initial) * step / rising)
    progress = (step - rising) / (steps - rising)
    if training["decay"] == "linear":
        return float(1 - progress)
    return (1 + math.cos(math.pi * progress)) / 2
