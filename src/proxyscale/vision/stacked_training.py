"""Training several networks of one shape as one program, as groups of grouped convolutions.

One small network alone leaves a processor idle. What a run sees depends on its subset and its seed;
beside whom it trains matters to no more than rounding.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from proxyscale.base.progress import Progress
from proxyscale.vision import resnet
from proxyscale.vision.augmentation import augment
from proxyscale.vision.batches import Batches, Ids, order, side_by_side
from proxyscale.vision.sgd import one_cycle, optimizer


class Trained(NamedTuple):
    """What training a stack leaves behind."""

    checkpoints: dict[int, list[resnet.State]]  # by epoch, the state of each network
    rows: list[dict[str, Any]]  # the curve: mean over the networks
    final_losses: list[float]  # of each network, mean over its last epoch


class Stack:
    """Networks of one shape in training, each on a subset of its own, all subsets of one size.

    `spec`: model (see `resnet.build`) and training: epochs, batch, learning_rate,
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
        # CPU time on a CPU, whose cores are shared with other jobs
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
