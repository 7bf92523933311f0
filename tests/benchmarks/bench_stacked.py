"""Small vision models trained as one program, against one by one, on digits.

One by one is the best loop of a plain network in torch: channels last, fused SGD, all images held
as normalized floats, no stacking machinery. Same data, batches, steps and precision; training of
half of 400 images in batches of 50.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from timing import Row, compared, in_turns
from torch import Tensor, nn
from torch.nn import functional

from proxyscale.vision.batches import Batches
from proxyscale.vision.images import Images
from proxyscale.vision.sgd import one_cycle
from proxyscale.vision.stacked_training import Stack

CHANNELS, MODELS, POOL, BATCH, EPOCHS = (2, 4, 8, 16, 32), 16, 400, 50, 10
TRAINING: dict[str, Any] = {
    "batch": BATCH,
    "learning_rate": 0.1,
    "initial_learning_rate": 0.001,
    "warmup": 0.05,
    "decay": "linear",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "augment": None,
    "checkpoints": [],
    "precision": "fp32",
}


def model_spec(channels: int) -> dict[str, Any]:
    """The built-in study's ResNet-6."""
    shape = {"blocks": [1, 1], "channels": channels, "classes": 10, "colors": 1, "stem": "cifar"}
    return shape | {"parametrization": "standard", "base_channels": 32}


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        # The stride is taken before: of few channels torch's own convolution with both ends in an
        # abort (see vision/resnet.py).
        self.stride = stride
        convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.side = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        if stride == 1 and inputs == outputs:
            self.side = nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        side = self.side(x[:, :, :: self.stride, :: self.stride])
        return functional.relu(self.main(x) + side, inplace=True)


class Plain(nn.Sequential):
    """The same ResNet-6, written the usual way."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(1, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            Block(channels, channels, 1),
            Block(channels, 2 * channels, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * channels, 10),
        )


def one_by_one(channels: int, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train one plain network."""
    model = Plain(channels).to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    order = torch.cat([torch.randperm(len(labels)) for _ in range(epochs)]).split(BATCH)
    for step, rows in enumerate(order):
        loss = functional.cross_entropy(model(images[rows]), labels[rows])
        sgd.zero_grad()
        loss.backward()
        sgd.param_groups[0]["lr"] = 0.1 * one_cycle(step, len(order), TRAINING)
        sgd.step()


def stacked(channels: int, pool: Batches, subsets: list[np.ndarray], epochs: int) -> None:
    """Train networks of some subsets as one program."""
    spec = {"model": model_spec(channels), "training": TRAINING | {"epochs": epochs}}
    stack = Stack(spec, pool, subsets, range(len(subsets)))
    for step in range(stack.steps):
        stack.step(step)


def measured(rounds: int) -> Iterator[Row]:
    """Models a second of every width."""
    torch.set_num_threads(1)
    data = load_digits()
    pixels = np.round(data.images[:POOL, :, :, None] * (255 / 16)).astype(np.uint8)
    labels = data.target[:POOL].astype(np.int64)
    mean, deviation = float(pixels.mean()), float(pixels.std())
    pool = Batches(Images(pixels, labels, list("0123456789"), [mean], [deviation]))
    rng = np.random.default_rng(0)
    subsets = [np.sort(rng.permutation(POOL)[: POOL // 2]) for _ in range(MODELS)]
    half = torch.from_numpy(subsets[0])
    images = ((torch.from_numpy(pixels).float() - mean) / deviation).permute(0, 3, 1, 2)
    images, targets = images[half].to(memory_format=torch.channels_last), torch.from_numpy(labels)
    for channels in CHANNELS:
        together = functools.partial(stacked, channels, pool, subsets, EPOCHS)
        alone = functools.partial(one_by_one, channels, images, targets[half], EPOCHS)
        own, one = in_turns(rounds, together, alone)
        each = [[seconds / MODELS for seconds in own], one]
        yield from compared(f"vision, {channels} channels", "models", 1, each, ["one by one"])
