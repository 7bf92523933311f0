"""The losses of a run in training: smoothed, checked for divergence, drawn as a curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch

from proxyscale.base.errors import UserError
from proxyscale.training.schedule import rate_factor

# The training loss is smoothed over this share of the steps, and over at least so many steps.
SMOOTH_SHARE, SMOOTH_STEPS = 0.05, 20
SHORT = 3  # times ln V: what no run ends with
POINTS = 100  # of the curve


class Curve:
    """`losses` [steps], on the device of the run, so that nothing waits for them.

    `spec` as for `train.train`.
    """

    def __init__(self, spec: Mapping[str, Any], steps: int, device: torch.device) -> None:
        self.training, self.steps = spec["training"], steps
        self.limit = math.log(spec["model"]["vocabulary"])
        self.warmup = round(self.training["warmup"] * steps)
        self.window = max(SMOOTH_STEPS, round(SMOOTH_SHARE * steps))
        self.every = -(-steps // POINTS)
        self.losses = torch.zeros(steps, device=device)
        self.points: list[tuple[float, ...]] = []  # (step, seconds)

    def factor(self, step: int) -> float:
        """The share of the peak learning rate at a step."""
        return rate_factor(step, self.steps, self.warmup, self.training["final_learning_rate"])

    def due(self, done: int) -> bool:
        """Whether the curve has a point after `done` steps."""
        return done % self.every == 0 or done == self.steps

    def check(self, done: int) -> float:
        """The smoothed loss. UserError if it is not a number, or worse than knowing nothing."""
        loss = self.smoothed(done)
        settled = done >= self.warmup + self.window
        # a short run never settles: then its end may not be far worse than knowing nothing
        limit = self.limit if settled else SHORT * self.limit
        judged = settled or done == self.steps
        if not math.isfinite(loss) or (judged and loss > limit):
            raise UserError(
                f"training diverged at step {done}: loss {loss:.3f}, "
                f"ln(vocabulary) {self.limit:.3f}",
                where="training.learning_rate",
                hint="lower learning_rate or hidden_learning_rate, or lengthen warmup",
            )
        return loss

    def smoothed(self, done: int) -> float:
        """Mean loss of the last steps before `done`."""
        return self.losses[max(0, done - self.window) : done].mean().item()

    def table(self) -> pa.Table:
        """About a hundred points, each with the mean loss since the one before (kind curve)."""
        losses = self.losses.cpu()
        rows = []
        for done, seconds in self.points:
            step = int(done)
            rows.append(
                {
                    "step": step,
                    "tokens": step * self.training["batch_tokens"],
                    "loss": losses[(step - 1) // self.every * self.every : step].mean().item(),
                    "lr": self.factor(step - 1) * self.training["learning_rate"],
                    "seconds": seconds,
                }
            )
        return pa.Table.from_pylist(rows)
