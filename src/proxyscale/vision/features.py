"""What attribution reads out of an image model: per-example gradients, and features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proxyscale.attribution.projection import Projection
from proxyscale.vision import resnet
from proxyscale.vision.batches import Batches, side_by_side
from proxyscale.vision.ensembles import Ensemble
from proxyscale.vision.images import Images

BATCH = 128  # images of which features are taken at a time


class Gradients:
    """Per-example gradients of the margin log(p / (1 − p)) with respect to all parameters.

    The network is stacked `batch` times and every copy is shown an image of its own: the gradient
    of the summed margins then is, along the first dimension, the gradient of each example. Norms
    use their running statistics, as when the model is measured.
    """

    def __init__(self, spec: Mapping[str, Any], state: resnet.State, batch: int) -> None:
        self.batch = batch
        self.model = resnet.restore(spec, [state] * batch).requires_grad_(True)
        self.parameters = dict(self.model.named_parameters())
        self.size = sum(p.numel() for p in self.parameters.values()) // batch

    def blocks(self, images: Batches, rows: slice) -> Iterator[tuple[slice, list[Tensor]]]:
        """For each block of rows its place and the gradients of every parameter, [b, …] each."""
        self.model.to(images.device)
        for start in range(rows.start, rows.stop, self.batch):
            block = slice(start, min(start + self.batch, rows.stop))
            count = block.stop - block.start
            pixels, labels = images(block)
            filled = torch.arange(self.batch, device=pixels.device) % count
            logits = self.model(side_by_side(pixels[filled, None]))
            total = resnet.margins(logits[:, 0], labels[filled]).sum()
            found = torch.autograd.grad(total, list(self.parameters.values()))
            yield block, [each.unflatten(0, (self.batch, -1))[:count] for each in found]

    def whole(self, images: Batches, rows: slice) -> Tensor:
        """Gradients of a slice of the images, [rows, parameters]."""
        out = torch.empty(rows.stop - rows.start, self.size, device=images.device)
        for block, gradients in self.blocks(images, rows):
            place = slice(block.start - rows.start, block.stop - rows.start)
            torch.cat([each.flatten(1) for each in gradients], dim=1, out=out[place])
        return out

    def projected(self, images: Batches, projection: Projection) -> Iterator[Tensor]:
        """Projected gradients of all images, some at a time: [b, k] each."""
        for _, gradients in self.blocks(images, slice(0, len(images))):
            total = projection.start(len(gradients[0]))
            for name, gradient in zip(self.parameters, gradients, strict=True):
                projection.add(total, name, gradient)
            yield projection.finish(total)


@torch.no_grad()
def features(spec: Mapping[str, Any], state: resnet.State, images: Batches) -> Tensor:
    """The last layer's features of all images, [n, features], for likeness."""
    model = resnet.restore(spec, [state]).to(images.device)
    starts = range(0, len(images), BATCH)
    batches = (images(slice(start, start + BATCH))[0] for start in starts)
    return torch.cat([model.features(side_by_side(batch[None]))[0].cpu() for batch in batches])


def likeness(ensemble: Path, pool: Path, holdout: Path) -> NDArray[np.float64]:
    """Cosines of the features of test and pool images by an ensemble's first model: [tests, pool].

    `pool` and `holdout` are manifests.
    """
    opened = Ensemble(ensemble)
    own, others = (
        features(opened.spec, opened.states()[0], Batches(Images.open(path))).double().numpy()
        for path in (holdout, pool)
    )
    own, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (own, others))
    return np.asarray(own @ others.T)
