"""Models per CPU minute on one thread: stacked against one by one, on digits.

python tests/benchmarks/bench_stacked.py [--epochs 10] [--rounds 3]

One by one is the best loop of a plain network in torch: channels last, fused SGD, all images held
as normalized floats, no stacking machinery. Same data, batches, steps and precision; training of
half of 400 images in batches of 50. CPU seconds, the best of some rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from proxyscale.vision.batches import Batches
from proxyscale.vision.images import Images
from proxyscale.vision.sgd import one_cycle
from proxyscale.vision.stacked_training import Stack

CHANNELS, MODELS, POOL, BATCH = (2, 4, 8, 16, 32), 16, 400, 50
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
        convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.side = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        if stride == 1 and inputs == outputs:
            self.side = nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.main(x) + self.side(x), inplace=True)


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


def seconds(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of one call: the best of some."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
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
    print(f"{MODELS} models, {arguments.epochs} epochs of {POOL // 2} images")
    print("channels  one by one/min  stacked/min  ratio")
    for channels in CHANNELS:
        one_by_one(channels, images, targets[half], 1)  # to import what torch imports late
        alone = seconds(
            lambda c=channels: one_by_one(c, images, targets[half], arguments.epochs),  # type: ignore[misc]
            arguments.rounds,
        )
        together = seconds(
            lambda c=channels: stacked(c, pool, subsets, arguments.epochs),  # type: ignore[misc]
            arguments.rounds,
        )
        ratio = alone * MODELS / together
        line = f"{channels:>8} {60 / alone:>15,.0f} {60 * MODELS / together:>12,.0f} {ratio:>6.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
