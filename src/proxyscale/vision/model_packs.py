"""Packs of image models as artifacts: trained, kept, opened again and measured.

A pack holds the runs (draw, seed) that its id fixes, so that adding a run to a study touches one
pack. Files: `{epoch}.safetensors`, each tensor [runs, …]; `curve.parquet`; `manifest.json`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.vision import resnet
from proxyscale.vision.pool import Images
from proxyscale.vision.stacked import Batches, Ids, Stack, Trained, side_by_side

Run = tuple[int, int]
BATCH = 512  # images measured at a time


def train_pack(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    runs: Sequence[Run],
    title: str,
) -> None:
    """Train the runs (draw, seed) of one scale and distribution and write the pack.

    `spec` as for `Stack`, and training.stack, how many networks train as one program. `pool` is the
    pool's manifest. UserError if a draw is missing or does not fill a batch, or if the model has
    another number of classes than the pool.
    """
    images = Images.open(pool)
    if len(images.classes) != spec["model"]["classes"]:
        message = f"the pool has {len(images.classes)} classes, the model has another number"
        raise UserError(message, where="model.classes", value=spec["model"]["classes"])
    batches = Batches(images)
    members = read_draws(distribution, [draw for draw, _ in runs])
    trained: dict[Run, tuple[Trained, int]] = {}
    for group in _stacks(runs, members, spec["training"]["stack"]):
        seeds = [seed for _, seed in group]
        stack = Stack(spec, batches, [members[draw] for draw, _ in group], seeds)
        if not stack.steps:
            message = f"{stack.order.shape[1]} images in all epochs do not fill a batch"
            raise UserError(message, where="training.batch", value=spec["training"]["batch"])
        result = stack.train(f"{title} {len(trained)}–{len(trained) + len(group)}/{len(runs)}")
        trained |= {run: (result, place) for place, run in enumerate(group)}
    files = [_save(out, epoch, runs, trained) for epoch in trained[runs[0]][0].checkpoints]
    artifacts.write(out / "curve.parquet", _curve(trained), "curve")
    facts = [_facts(run, len(members[run[0]]), *trained[run]) for run in runs]
    artifacts.write_manifest(
        out / "manifest.json",
        files,
        model=dict(spec["model"]),
        runs=facts,
        stack=spec["training"]["stack"],
        versions={"torch": torch.__version__, "numpy": np.__version__},
    )


def read_draws(distribution: Path, draws: Sequence[int]) -> dict[int, Ids]:
    """The examples of each draw, from a distribution table. UserError if a draw is missing."""
    table = artifacts.read(distribution, "distribution", ["draw", "example"])
    members = {}
    for draw in sorted(set(draws)):
        members[draw] = table.filter(pc.equal(table["draw"], draw))["example"].to_numpy()
        if not len(members[draw]):
            raise UserError(f"has no draw {draw}", where=str(distribution))
    return members


def _stacks(runs: Sequence[Run], members: Mapping[int, Ids], width: int) -> Iterator[list[Run]]:
    """The runs in groups of one subset size, at most `width` each."""
    groups: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        groups[len(members[run[0]])].append(run)
    for group in groups.values():
        for start in range(0, len(group), width):
            yield group[start : start + width]


def _save(
    out: Path, epoch: int, runs: Sequence[Run], trained: Mapping[Run, tuple[Trained, int]]
) -> Path:
    path = out / f"{epoch}.safetensors"
    states = [result.checkpoints[epoch][place] for result, place in map(trained.__getitem__, runs)]
    with artifacts.atomic(path) as temporary:
        save_file({name: torch.stack([s[name] for s in states]) for name in states[0]}, temporary)
    return path


def _curve(trained: Mapping[Run, tuple[Trained, int]]) -> pa.Table:
    """The mean curve of the longest stack."""
    curves = [result.rows for result, _ in trained.values()]
    return pa.Table.from_pylist(max(curves, key=len))


def _facts(run: Run, examples: int, result: Trained, place: int) -> dict[str, Any]:
    draw, seed = run
    seen = result.rows[-1]["tokens"]
    return {
        "draw": draw,
        "seed": seed,
        "examples": examples,
        "seen": seen,
        "epochs": seen / examples,
        "final_loss": result.final_losses[place],
    }


class Pack:
    """A trained pack, opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = artifacts.read_json(folder / "manifest.json")
        self.spec: dict[str, Any] = facts["model"]
        self.runs: list[Run] = [(run["draw"], run["seed"]) for run in facts["runs"]]
        names = (Path(name) for name in facts["files"])
        self.epochs = sorted(int(name.stem) for name in names)

    def states(self, epoch: int | None = None) -> list[resnet.State]:
        """The state of each run after an epoch, the last one by default."""
        number = self.epochs[-1] if epoch is None else epoch
        tensors = load_file(self.folder / f"{number}.safetensors")
        return [{name: t[place] for name, t in tensors.items()} for place in range(len(self.runs))]


def evaluate_pack(
    out: Path,
    pack: Path,
    tasks: Mapping[str, Path],
    *,
    scale: str,
    distribution: str,
    split: str = "holdout",
    stack: int = 16,
) -> None:
    """Write `out/{task}.parquet` (schema losses) of a pack's final models on each task's split.

    Margins are log(p / (1 − p)) of the correct class, `correct` is top-1.
    """
    opened = Pack(pack)
    states = opened.states()
    for task, folder in tasks.items():
        batches = Batches(Images.open(folder / split / "manifest.json"))
        parts = []
        for start in range(0, len(states), stack):
            model = resnet.restore(opened.spec, states[start : start + stack])
            runs = opened.runs[start : start + stack]
            parts += [
                _table(run, *values)
                for run, values in zip(runs, measure(model, batches), strict=True)
            ]
        names = {"scale": scale, "distribution": distribution, "task": task}
        whole = pa.concat_tables(parts)
        for name, value in names.items():
            whole = whole.append_column(name, pa.array([value] * len(whole)))
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
