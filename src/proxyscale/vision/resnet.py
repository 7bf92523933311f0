"""ResNets of any width, one or several in one program.

`RN-k` is ResNet-18 with every channel count times k (Khaddaj et al., arXiv 2505.16260, appendix
B.2 and table 15), in its CIFAR form (3×3 stem, no pooling after it) and in its ImageNet form.
Fewer blocks give small networks for small images: ResNet-6 has two stages of one block.

A model of `models=K` is K independent networks of one shape: their channels lie side by side and
every convolution has K groups. One network is K = 1; there is no other implementation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mup import MuReadout
from torch import Tensor, nn
from torch.nn import functional

from proxyscale.base.errors import UserError
from proxyscale.training.parametrization import extrapolated, set_shapes, width_multiplier

State = dict[str, Tensor]


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut, as in He et al. (arXiv 1512.03385), figure 2."""

    def __init__(self, models: int, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolution1 = _convolution(models, inputs, outputs, 3, stride)
        self.norm1 = nn.BatchNorm2d(models * outputs)
        self.convolution2 = _convolution(models, outputs, outputs, 3, 1)
        self.norm2 = nn.BatchNorm2d(models * outputs)
        self.stride = stride
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            # The shortcut's stride is taken by slicing: on CPUs without AVX-512 the strided 1×1
            # convolution of torch 2.13 (oneDNN) writes past its buffers when channels are few.
            convolution = _convolution(models, inputs, outputs, 1, 1)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(models * outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, models · inputs, H, W] → [batch, models · outputs, H / stride, W / stride]."""
        hidden = functional.relu(self.norm1(self.convolution1(x)))
        shortcut = self.shortcut(x[..., :: self.stride, :: self.stride])
        return functional.relu(self.norm2(self.convolution2(hidden)) + shortcut)


class Readout(MuReadout):  # type: ignore[misc]
    """`MuReadout` of several models: weights [models · classes, features], zero at the start."""

    def __init__(self, models: int, features: int, classes: int) -> None:
        super().__init__(features, models * classes, readout_zero_init=True)
        self.models = models
        self.multiplier = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """[models, batch, features] → [models, batch, classes]."""
        weight = self.weight.unflatten(0, (self.models, -1))
        bias = self.bias.unflatten(0, (self.models, 1, -1))
        return torch.baddbmm(bias, self.multiplier * x, weight.mT)


class ResNet(nn.Module):
    """`models` ResNets of the shape that `spec` describes.

    `spec`: blocks (per stage, whose widths double), channels (of the first stage), classes,
    colors (channels of an image), stem ("cifar" or "imagenet"). Every parameter and every buffer
    of BatchNorm has the models along its first dimension. Use `build` to get one to train.
    """

    def __init__(self, spec: Mapping[str, Any], models: int = 1) -> None:
        super().__init__()
        self.spec, self.models = dict(spec), models
        channels = width = spec["channels"]
        self.stem = _stem(spec["stem"], models, spec["colors"], channels)
        stages = []
        for stage, blocks in enumerate(spec["blocks"]):
            for block in range(blocks):
                outputs = channels * 2**stage
                stride = 2 if stage and not block else 1
                stages.append(Block(models, width, outputs, stride))
                width = outputs
        self.stages = nn.Sequential(*stages)
        self.readout = Readout(models, width, spec["classes"])

    def features(self, images: Tensor) -> Tensor:
        """The last layer's features: [batch, models · colors, H, W] → [models, batch, features]."""
        hidden = self.stages(self.stem(images)).mean(dim=(2, 3))
        states: Tensor = hidden.unflatten(1, (self.models, -1)).transpose(0, 1)
        return states

    def forward(self, images: Tensor) -> Tensor:
        """Logits: [batch, models · colors, H, W] → [models, batch, classes]."""
        logits: Tensor = self.readout(self.features(images))
        return logits


def _convolution(models: int, inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    shape = models * inputs, models * outputs, size, stride, size // 2
    return nn.Conv2d(*shape, groups=models, bias=False)


def _stem(kind: str, models: int, colors: int, channels: int) -> nn.Sequential:
    norm = nn.BatchNorm2d(models * channels)
    if kind == "cifar":
        return nn.Sequential(_convolution(models, colors, channels, 3, 1), norm, nn.ReLU())
    if kind == "imagenet":
        convolution = _convolution(models, colors, channels, 7, 2)
        return nn.Sequential(convolution, norm, nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    raise UserError("no such stem", where="stem", value=kind, allowed=["cifar", "imagenet"])


def build(spec: Mapping[str, Any], seeds: Sequence[int]) -> ResNet:
    """One freshly initialized network for each seed, in one model.

    `spec` as for `ResNet`, with parametrization "mup" (whose `base_channels` is the width at which
    it agrees with the standard one) or "standard". A network depends on its own seed alone.
    """
    models = len(seeds)
    model = ResNet(spec, models)

    def make(channels: int) -> ResNet:
        return ResNet({**spec, "channels": channels}, models)

    shapes = functools.partial(extrapolated, make)
    set_shapes(model, shapes, spec["base_channels"], spec["parametrization"])
    model.readout.multiplier = 1 / width_multiplier(model.readout.weight)
    _initialize(model, seeds)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


@torch.no_grad()
def _initialize(model: ResNet, seeds: Sequence[int]) -> None:
    """PyTorch's default for convolutions, uniform within ±1/√fan-in, which is µP's as it stands."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            weights = module.weight.unflatten(0, (len(seeds), -1))
            for weight, generator in zip(weights, generators, strict=True):
                weight.uniform_(-bound, bound, generator=generator)


def unstack(state: Mapping[str, Tensor], models: int) -> list[State]:
    """The states of single networks from the state of a stack of `models`."""
    own = {name: value for name, value in state.items() if value.ndim}
    split = {name: value.unflatten(0, (models, -1)) for name, value in own.items()}
    return [{name: value[index] for name, value in split.items()} for index in range(models)]


def restore(spec: Mapping[str, Any], states: Sequence[Mapping[str, Tensor]]) -> ResNet:
    """A model in evaluation mode that holds the given states of single networks."""
    model = build(spec, [0] * len(states))
    stacked = {name: torch.cat([state[name] for state in states]) for name in states[0]}
    missing, unexpected = model.load_state_dict(stacked, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError(f"the states are of another shape: {missing + unexpected}")
    return model.eval().requires_grad_(False)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """log(p / (1 − p)) of the correct class: logits [..., classes], labels [...] → [...]."""
    correct = logits.gather(-1, labels[..., None])
    others = logits.scatter(-1, labels[..., None], float("-inf"))
    return correct[..., 0] - others.logsumexp(-1)
