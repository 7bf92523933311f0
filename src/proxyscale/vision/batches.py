"""What a model of images is shown: normalized images by row, and the order of a run's rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proxyscale.training import language_model
from proxyscale.vision.images import HELD, Images

Ids = NDArray[np.integer[Any]]


class Batches:
    """Normalized images of a pool or a test set, by row; small ones lie on the device."""

    def __init__(self, images: Images) -> None:
        self.device = language_model.device()
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
