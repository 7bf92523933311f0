"""LDS and CPU seconds of TRAK's scores beside those of `traker`, on the same models.

python tests/benchmarks/trak_lds.py RESULTS [--scale c8] [--models 8] [--projection 2048]

RESULTS is the folder of a finished study of image models (`make vision`). Both read the final
checkpoints of the models that TRAK reads there, use TRAK's Q, and are held against the study's
truth. `traker` projects with its dense Rademacher matrix and is given our ridge term, mean over
the models, in its own units; ours are exact (dual, no projection).
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from proxyscale.attribution import lds, trak
from proxyscale.base import artifacts
from proxyscale.cli.load_study import load
from proxyscale.study.validation import read_yaml
from proxyscale.vision import resnet
from proxyscale.vision.batches import Batches
from proxyscale.vision.ensembles import Ensemble
from proxyscale.vision.evaluate import measure
from proxyscale.vision.features import Gradients
from proxyscale.vision.images import Images
from proxyscale.vision.subsets import read_masks
from proxyscale.vision.trak_scores import score

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "workflow/studies/vision.yaml"
BATCH = 50


class Plain(nn.Module):
    """A network alone, with logits [batch, classes]."""

    def __init__(self, model: resnet.ResNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)[0]


def ours(ensemble: Ensemble, states: list[Any], train: Batches, test: Batches) -> Tensor:
    """Mean scores of the models, exact and with Q: [tests, pool]."""
    spec = {"projection": None, "ridge": trak.RIDGE, "seed": 0}
    each = [score(ensemble.spec, state, train, {"t": test}, spec)["t"] for state in states]
    margins = [next(measure(resnet.restore(ensemble.spec, [state]), train))[1] for state in states]
    return trak.average(torch.stack(each), torch.sigmoid(-torch.stack(margins)))


def their_ridge(ensemble: Ensemble, states: list[Any], train: Batches, dimensions: int) -> float:
    """Our ridge term for `traker`: it divides gradients by the root of their number of entries,
    and its projection multiplies their squares by its dimensions."""
    squares = [
        float((Gradients(ensemble.spec, state, 32).whole(train, slice(0, len(train))) ** 2).mean())
        for state in states
    ]
    return trak.RIDGE * dimensions * float(np.mean(squares))


def theirs(
    ensemble: Ensemble,
    states: list[Any],
    train: Batches,
    test: Batches,
    dimensions: int,
    ridge: float,
) -> Tensor:
    """The scores of `traker`: [tests, pool]."""
    from trak import TRAKer
    from trak.projectors import BasicProjector, ProjectionType

    network = Plain(resnet.restore(ensemble.spec, states[:1]).requires_grad_(True))
    size = sum(p.numel() for p in network.parameters())
    projector = BasicProjector(
        grad_dim=size,
        proj_dim=dimensions,
        seed=0,
        proj_type=ProjectionType.rademacher,
        device="cpu",
        block_size=min(dimensions, 512),
        dtype=torch.float32,
    )
    with tempfile.TemporaryDirectory() as folder:
        traker = TRAKer(
            model=network,
            task="image_classification",
            train_set_size=len(train),
            save_dir=folder,
            device="cpu",
            projector=projector,
            proj_dim=dimensions,
            use_half_precision=False,
            lambda_reg=ridge,
        )
        for number, state in enumerate(states):
            model = Plain(resnet.restore(ensemble.spec, [state]))
            traker.load_checkpoint(model.state_dict(), model_id=number)
            for images, labels in batches(train):
                traker.featurize(batch=(images, labels), num_samples=len(labels))
        traker.finalize_features()
        for number, state in enumerate(states):
            model = Plain(resnet.restore(ensemble.spec, [state]))
            traker.start_scoring_checkpoint(
                "t", model.state_dict(), model_id=number, num_targets=len(test)
            )
            for images, labels in batches(test):
                traker.score(batch=(images, labels), num_samples=len(labels))
        return torch.from_numpy(np.array(traker.finalize_scores("t"))).T


def batches(images: Batches) -> list[tuple[Tensor, Tensor]]:
    """Batches as [n, colors, H, W] and labels."""
    parts = [slice(i, min(i + BATCH, len(images))) for i in range(0, len(images), BATCH)]
    return [(x.permute(0, 3, 1, 2).contiguous(), y) for x, y in map(images, parts)]


def timed(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """A result and the CPU seconds that it took."""
    start = time.process_time()
    return work(), time.process_time() - start


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", nargs="?", default="results/vision")
    parser.add_argument("--scale", default="c8")
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--projection", type=int, default=2048)
    said = parser.parse_args()
    if importlib.util.find_spec("trak") is None:
        return print("traker is not installed: no comparison")
    if not Path(said.results, "statistics.parquet").exists():
        return print(f"no finished study in {said.results}: run make vision")
    torch.set_num_threads(1)
    study = load(read_yaml(STUDY) | {"results": said.results})
    paths, name = study.paths, study.config.attribution.trak.distribution
    ensemble = Ensemble(Path(paths.image_ensemble(said.scale, name, "0-0")))
    states = ensemble.states()[: said.models]
    train = Batches(Images.open(Path(paths.pool)))
    test = Batches(Images.open(Path(paths.task("digits"), "holdout/manifest.json")))
    own, own_seconds = timed(lambda: ours(ensemble, states, train, test))
    ridge = their_ridge(ensemble, states, train, said.projection)
    other, other_seconds = timed(
        lambda: theirs(ensemble, states, train, test, said.projection, ridge)
    )
    truth = artifacts.read(paths.losses, "losses").to_pandas()
    truth = truth[
        (truth.scale == study.config.reference)
        & (truth.distribution == study.config.attribution.truth)
    ]
    outputs = truth.groupby(["draw", "example"]).margin.mean().unstack().to_numpy()
    files = [
        Path(paths.subsets(study.config.attribution.truth, p))
        for p in study.packs(study.config.attribution.truth)
    ]
    masks, _ = read_masks(files, len(train))
    for who, scores, seconds in (("ours", own, own_seconds), ("traker", other, other_seconds)):
        estimate = lds.lds(scores.numpy().astype(float), masks, outputs)
        print(
            f"{who:<7} LDS {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
            f"  {seconds:.1f} CPU s"
        )
    r = np.corrcoef(own.flatten(), other.flatten())[0, 1]
    print(f"Pearson correlation of all scores: {r:.3f}")


if __name__ == "__main__":
    main()
