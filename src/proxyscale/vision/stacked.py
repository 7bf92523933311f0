"""Training packs of image models, many of them as one program.

A pack is a fixed list of runs (draw, seed) of one scale and distribution. Its runs of equal length
train together, `stack` at a time, as groups of grouped convolutions: one small network alone
leaves a processor idle. What a run sees depends on its subset and its seed, and neither its pack
nor its place there matters to more than rounding.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from proxyscale.base.progress import Progress
from proxyscale.vision import resnet
from proxyscale.vision.augmentation import augment
from proxyscale.vision.pool import Images
from proxyscale.vision.sgd import one_cycle, optimizer

Ids = NDArray[np.integer[Any]]
HELD = 1 << 32  # bytes of a pool that an accelerator keeps in its own memory


class Trained(NamedTuple):
    """What training a stack leaves behind."""

    checkpoints: dict[int, list[resnet.State]]  # by epoch, the state of each network
    rows: list[dict[str, Any]]  # the curve: mean over the networks
    final_losses: list[float]  # of each network, mean over its last epoch


class Batches:
    """Normalized images of a pool or a test set, by row; small ones lie on the device."""

    def __init__(self, images: Images) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        home = self.device if images.pixels.nbytes <= HELD else torch.device("cpu")
        self.pixels = torch.from_numpy(images.pixels).to(home)
        self.labels = torch.from_numpy(images.labels).to(home)
        self.mean, self.deviation = (
            torch.tensor(values, device=self.device) for values in (images.mean, images.deviation)
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Images [..., H, W, colors] of mean 0 and deviation 1 over the pool, and labels [...]."""
        if isinstance(rows, Tensor):
            rows = rows.to(self.pixels.device)
        pixels = self.pixels[rows].to(self.device).float()
        return (pixels - self.mean) / self.deviation, self.labels[rows].to(self.device)


def side_by_side(images: Tensor) -> Tensor:
    """A batch for each model, [models, batch, H, W, colors], as the input of a stack.

    Returns [batch, models · colors, H, W] in the memory format channels_last.
    """
    return images.permute(1, 2, 3, 0, 4).flatten(3).permute(0, 3, 1, 2)


def order(members: Ids, examples: int, seed: int, epochs: int) -> Tensor:
    """The rows of a pool of `examples` that a run sees in turn, over all epochs.

    In each epoch the pool's permutation of (seed, epoch), restricted to the members: subsets see
    what they have in common in one order, which is the same at every scale, so that retrainings
    differ by their subsets and by little else. A repeated member is seen repeatedly.
    """
    counts = np.bincount(members, minlength=examples)
    shuffled = [
        np.random.default_rng([seed, epoch]).permutation(examples) for epoch in range(epochs)
    ]
    return torch.from_numpy(np.concatenate([np.repeat(rows, counts[rows]) for rows in shuffled]))


class Stack:
    """Networks of one shape in training, each on a subset of its own, all subsets of one size.

    `spec`: model (see `vision.build`) and training: epochs, batch, learning_rate,
    initial_learning_rate, warmup, decay, momentum, weight_decay, augment (null, or see
    `augmentation.augment`), checkpoints (epochs to keep beside the last one), precision ("fp32"
    or "bf16"). The last, partial batch of all epochs together is dropped.
    """

    def __init__(
        self, spec: Mapping[str, Any], pool: Batches, subsets: Sequence[Ids], seeds: Sequence[int]
    ) -> None:
        self.training = spec["training"]
        self.epochs = self.training["epochs"]
        self.pool = pool
        pairs = zip(subsets, seeds, strict=True)
        self.order = torch.stack([order(ids, len(pool), seed, self.epochs) for ids, seed in pairs])
        self.batches = self.order.split(self.training["batch"], dim=1)
        self.steps = self.order.shape[1] // self.training["batch"]
        self.model = resnet.build(spec["model"], seeds).to(pool.device)
        self.optimizer = optimizer(self.model, self.training)
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def step(self, number: int) -> Tensor:
        """One step of every network; returns their losses, [models]."""
        images, labels = self.pool(self.batches[number])
        if self.training["augment"]:
            images = augment(images, self.training["augment"], self.generators)
        half = self.training["precision"] == "bf16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            logits = self.model(side_by_side(images)).float()
        each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        losses = each.view_as(labels).mean(dim=1)
        self.model.zero_grad()
        losses.sum().backward()  # summed: each network gets the gradient that it would get alone
        self.optimizer.step(one_cycle(number, self.steps, self.training))
        return losses.detach()

    def train(self, title: str) -> Trained:
        """All steps; keeps the checkpoints on the CPU."""
        wanted = {*self.training["checkpoints"], self.epochs}
        kept = {max(1, self.steps * epoch // self.epochs): epoch for epoch in wanted}
        checkpoints, losses, seconds = {}, [], []
        # CPU time on a CPU, whose cores are shared with other packs
        clock = time.process_time if self.pool.device.type == "cpu" else time.monotonic
        progress, start = Progress(title, self.steps), clock()
        for number in range(self.steps):
            losses.append(self.step(number))
            seconds.append(clock() - start)
            progress.step(number + 1)
            if number + 1 in kept:
                checkpoints[kept[number + 1]] = self.states()
        progress.close()
        each = torch.stack(losses).cpu()
        last = each[-max(1, self.steps // self.epochs) :].mean(dim=0)
        return Trained(checkpoints, self._curve(each, seconds), last.tolist())

    def states(self) -> list[resnet.State]:
        """The state of each network as it stands."""
        plain = torch.contiguous_format
        state = {
            name: value.cpu().clone(memory_format=plain)
            for name, value in self.model.state_dict().items()
        }
        return resnet.unstack(state, self.model.models)

    def _curve(self, losses: Tensor, seconds: Sequence[float]) -> list[dict[str, Any]]:
        rate = self.training["learning_rate"]
        return [
            {
                "step": number + 1,
                "tokens": (number + 1) * self.training["batch"],  # images seen by each network
                "loss": mean,
                "lr": rate * one_cycle(number, self.steps, self.training),
                "seconds": seconds[number],
            }
            for number, mean in enumerate(losses.mean(dim=1).tolist())
        ]
