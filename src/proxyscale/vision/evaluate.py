"""Losses and margins of an ensemble's models on test sets of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional

from proxyscale.base import artifacts
from proxyscale.base.tables import check_losses, with_constants
from proxyscale.vision import resnet
from proxyscale.vision.batches import Batches, side_by_side
from proxyscale.vision.ensembles import Ensemble, Run
from proxyscale.vision.images import Images

BATCH = 512  # images measured at a time


def evaluate_ensemble(
    out: Path,
    ensemble: Path,
    tasks: Mapping[str, Path],
    *,
    scale: str,
    distribution: str,
    split: str = "holdout",
) -> None:
    """Write `out/{task}.parquet` (schema losses) of an ensemble's final models on a split.

    Margins are log(p / (1 − p)) of the correct class, `correct` is top-1. As many networks are
    measured together as were trained together.
    """
    opened = Ensemble(ensemble)
    states = opened.states()
    for task, folder in tasks.items():
        batches = Batches(Images.open(folder / split / "manifest.json"))
        parts = []
        for start in range(0, len(states), opened.stack):
            model = resnet.restore(opened.spec, states[start : start + opened.stack])
            runs = opened.runs[start : start + opened.stack]
            parts += [
                _table(run, *values)
                for run, values in zip(runs, measure(model, batches), strict=True)
            ]
        names = {"scale": scale, "distribution": distribution, "task": task}
        whole = with_constants(pa.concat_tables(parts), **names)
        check_losses(whole, f"{scale}/{distribution}, {task}")
        artifacts.write(out / f"{task}.parquet", whole, "losses")


@torch.no_grad()
def measure(model: resnet.ResNet, images: Batches) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each network's losses (nats), margins and whether it is right, over all images: [n] each."""
    model.to(images.device)
    logits, labels = [], []
    for start in range(0, len(images), BATCH):
        batch, correct = images(slice(start, start + BATCH))
        shown = batch.expand(model.models, *batch.shape)
        logits.append(model(side_by_side(shown)).cpu())
        labels.append(correct.cpu())
    gold = torch.cat(labels)
    for own in torch.cat(logits, dim=1):
        loss = functional.cross_entropy(own, gold, reduction="none")
        yield loss, resnet.margins(own, gold), own.argmax(dim=-1) == gold


def _table(run: Run, loss: Tensor, margin: Tensor, correct: Tensor) -> pa.Table:
    count = len(loss)
    columns = {
        "draw": np.full(count, run[0]),
        "seed": np.full(count, run[1]),
        "example": np.arange(count),
        "loss": loss.numpy(),
        "tokens": np.ones(count, np.uint32),
        "correct": correct.numpy(),
        "margin": margin.numpy(),
    }
    return pa.table(columns)
