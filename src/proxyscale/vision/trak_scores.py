"""TRAK's scores of an ensemble as artifacts: one matrix a model, averaged by readers.

Figures ask for any number of the models, for halves of them and for all but one: so what is
written is each model's own scores, mean over its checkpoints.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proxyscale.attribution import trak
from proxyscale.attribution.feature_files import ROWS
from proxyscale.attribution.projection import Projection
from proxyscale.base import arrays, artifacts
from proxyscale.base.lock import PARTIAL
from proxyscale.base.progress import Progress
from proxyscale.vision import resnet
from proxyscale.vision.batches import Batches
from proxyscale.vision.ensembles import Ensemble
from proxyscale.vision.evaluate import measure
from proxyscale.vision.features import Gradients
from proxyscale.vision.images import Images

MEMORY = 1 << 30  # bytes of gradients held at a time
BATCH_PARAMETERS = 1 << 22  # parameters of all the copies of a network that share a batch


def score_ensemble(
    out: Path,
    ensemble: Path,
    pool: Path,
    tasks: Mapping[str, Path],
    spec: Mapping[str, Any],
    *,
    split: str = "holdout",
    title: str,
) -> None:
    """Write `out/{task}.npy` [models, examples, pool] f32 and `out/residuals.npy` [models, pool].

    `spec`: `checkpoints` (epochs of the ensemble to average over, null for all), `projection`
    (dimensions, null for the exact dual), `ridge` (see `trak.RIDGE`), `seed` of the projection.
    Residuals are 1 − p of the correct class: TRAK's Q, which `trak.average` takes or leaves.
    """
    opened, train = Ensemble(ensemble), Batches(Images.open(pool))
    tests = {name: Batches(Images.open(t / split / "manifest.json")) for name, t in tasks.items()}
    models, epochs = len(opened.runs), spec["checkpoints"] or opened.epochs
    totals = {name: np.zeros((models, len(t), len(train)), np.float32) for name, t in tests.items()}
    residuals = np.zeros((models, len(train)), np.float32)
    progress = Progress(title, models * len(epochs))
    for turn, epoch in enumerate(epochs):
        for number, state in enumerate(opened.states(epoch)):
            for name, scores in score(opened.spec, state, train, tests, spec, out).items():
                totals[name][number] += scores.cpu().numpy() / len(epochs)
            (_, margins, _), *_ = measure(resnet.restore(opened.spec, [state]), train)
            residuals[number] += torch.sigmoid(-margins).numpy() / len(epochs)
            progress.step(turn * models + number + 1)
    progress.close()
    files = [arrays.write(out / f"{name}.npy", values) for name, values in totals.items()]
    files.append(arrays.write(out / "residuals.npy", residuals))
    artifacts.write_manifest(out / "manifest.json", files, runs=opened.runs, epochs=list(epochs))


def score(
    model: Mapping[str, Any],
    state: resnet.State,
    train: Batches,
    tests: Mapping[str, Batches],
    spec: Mapping[str, Any],
    folder: Path,
) -> dict[str, Tensor]:
    """One model's scores for each test set, [examples, pool].

    Projected gradients of the pool wait in a file below `folder`, which is gone afterwards.
    """
    size = sum(value.numel() for name, value in state.items() if "running" not in name)
    gradients = Gradients(model, state, max(1, min(64, BATCH_PARAMETERS // size)))
    if spec["projection"]:
        projection = Projection(spec["projection"], spec["seed"], train.device)
        wanted = {
            name: torch.cat(list(gradients.projected(test, projection)))
            for name, test in tests.items()
        }
        with _waiting(gradients.projected(train, projection), len(train), folder) as own:
            return {
                name: trak.primal_scores(
                    partial(_blocks, own, train.device), rows, ridge=spec["ridge"]
                )
                for name, rows in wanted.items()
            }
    sets = {name: (partial(gradients.whole, test), len(test)) for name, test in tests.items()}
    block = max(1, MEMORY // (4 * size))
    whole = partial(gradients.whole, train)
    kernel, crosses = trak.inner_products(whole, len(train), sets, block=block)
    options = {"ridge": spec["ridge"], "dimensions": size}
    return {name: trak.dual_scores(kernel, cross, **options) for name, cross in crosses.items()}


@contextlib.contextmanager
def _waiting(blocks: Iterator[Tensor], count: int, folder: Path) -> Iterator[NDArray[np.float32]]:
    """Blocks of `count` rows, one after another, as an array that is mapped from a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path, place = folder / f"{PARTIAL}gradients.npy", 0
    rows: NDArray[np.float32] | None = None
    try:
        for block in blocks:
            if rows is None:
                shape = count, block.shape[1]
                rows = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            rows[place : place + len(block)] = block.cpu().numpy()
            place += len(block)
        assert rows is not None
        yield rows
    finally:
        path.unlink(missing_ok=True)


def _blocks(rows: NDArray[np.float32], device: torch.device) -> Iterator[Tensor]:
    """The rows in float64, some thousand at a time."""
    for start in range(0, len(rows), ROWS):
        yield torch.from_numpy(np.array(rows[start : start + ROWS])).to(device).double()
