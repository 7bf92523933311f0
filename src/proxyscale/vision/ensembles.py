"""Ensembles of image models as artifacts: trained, kept and opened again.

An ensemble holds the runs (draw, seed) of one scale and distribution that its id fixes, so that
adding a run to a study touches one ensemble. Files: `{epoch}.safetensors`, each tensor [runs, …];
`curve.parquet`; `manifest.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from proxyscale.base import artifacts, seals
from proxyscale.base.errors import UserError
from proxyscale.training import language_model
from proxyscale.training.batches import read_draws
from proxyscale.vision import resnet
from proxyscale.vision.batches import Batches, Ids
from proxyscale.vision.images import Images
from proxyscale.vision.stacked_training import Stack, Trained

Run = tuple[int, int]


def train_ensemble(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    runs: Sequence[Run],
    title: str,
) -> None:
    """Train the runs (draw, seed) of one scale and distribution and write the ensemble.

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
    inputs = [artifacts.sha256(path) for path in (pool, distribution)]
    trained: dict[Run, tuple[Waiting, int]] = {}
    for group in _stacks(runs, members, spec["training"]["stack"]):
        told = f"{title} {len(trained)}–{len(trained) + len(group)}/{len(runs)}"
        key = [spec, inputs, group, torch.__version__]
        result = Waiting.opened(out / f"stack-{len(trained)}.safetensors", key)
        if result is None:
            subsets = [members[draw] for draw, _ in group]
            stack = Stack(spec, batches, subsets, [seed for _, seed in group])
            if not stack.steps:
                message = f"{stack.order.shape[1]} images in all epochs do not fill a batch"
                raise UserError(message, where="training.batch", value=spec["training"]["batch"])
            path = out / f"stack-{len(trained)}.safetensors"
            result = Waiting.written(path, key, stack.train(told))
        trained |= {run: (result, place) for place, run in enumerate(group)}
    files = [_save(out, epoch, runs, trained) for epoch in trained[runs[0]][0].epochs]
    artifacts.write(out / "curve.parquet", _curve(trained), "curve")
    facts = [_facts(run, len(members[run[0]]), *trained[run]) for run in runs]
    artifacts.write_manifest(
        out / "manifest.json",
        files,
        model=dict(spec["model"]),
        runs=facts,
        stack=spec["training"]["stack"],
        precision=spec["training"]["precision"],
        device=language_model.device_name(),
        versions={"torch": torch.__version__, "numpy": np.__version__},
    )
    for result, _ in trained.values():
        result.path.unlink(missing_ok=True)


class Waiting(NamedTuple):
    """A stack that has trained, whose states wait in a file until all stacks have.

    So an ensemble that is killed goes on with the stack it was at, and no more than one epoch's
    states are in memory.
    """

    path: Path
    epochs: list[int]
    rows: list[dict[str, Any]]
    final_losses: list[float]

    @classmethod
    def written(cls, path: Path, key: object, trained: Trained) -> Waiting:
        """Write what a stack left behind."""
        tensors = {
            f"{epoch}/{place}/{name}": value.contiguous()
            for epoch, states in trained.checkpoints.items()
            for place, state in enumerate(states)
            for name, value in state.items()
        }
        epochs = sorted(trained.checkpoints)
        facts: dict[str, Any] = {"epochs": epochs, "rows": trained.rows}
        facts["final_losses"] = trained.final_losses
        with artifacts.atomic(path) as temporary:
            told = {"key": _digest(key), "facts": json.dumps(facts), **seals.HEADER}
            save_file(tensors, temporary, told)
        return cls(path, **facts)

    @classmethod
    def opened(cls, path: Path, key: object) -> Waiting | None:
        """What an interrupted job of the same key left; None if there is none."""
        if not seals.intact(path):
            return None
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
        return cls(path, **json.loads(told["facts"])) if told.get("key") == _digest(key) else None

    def state(self, epoch: int, place: int) -> resnet.State:
        """The state of one network after an epoch."""
        start = f"{epoch}/{place}/"
        with safe_open(self.path, "pt") as file:
            mine = [name for name in file.keys() if name.startswith(start)]  # noqa: SIM118
            return {name.removeprefix(start): file.get_tensor(name) for name in mine}


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _stacks(runs: Sequence[Run], members: Mapping[int, Ids], width: int) -> Iterator[list[Run]]:
    """The runs in groups of one subset size, at most `width` each."""
    groups: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        groups[len(members[run[0]])].append(run)
    for group in groups.values():
        for start in range(0, len(group), width):
            yield group[start : start + width]


def _save(
    out: Path, epoch: int, runs: Sequence[Run], trained: Mapping[Run, tuple[Waiting, int]]
) -> Path:
    path = out / f"{epoch}.safetensors"
    states = [result.state(epoch, place) for result, place in map(trained.__getitem__, runs)]
    with artifacts.atomic(path) as temporary:
        tensors = {name: torch.stack([s[name] for s in states]) for name in states[0]}
        save_file(tensors, temporary, seals.HEADER)
    return path


def _curve(trained: Mapping[Run, tuple[Waiting, int]]) -> pa.Table:
    """The mean curve of the longest stack."""
    curves = [result.rows for result, _ in trained.values()]
    return pa.Table.from_pylist(max(curves, key=len))


def _facts(run: Run, examples: int, result: Waiting, place: int) -> dict[str, Any]:
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


class Ensemble:
    """A trained ensemble, opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = artifacts.read_json(folder / "manifest.json")
        self.spec: dict[str, Any] = facts["model"]
        self.stack: int = facts["stack"]  # how many of its networks trained as one program
        self.runs: list[Run] = [(run["draw"], run["seed"]) for run in facts["runs"]]
        names = (Path(name) for name in facts["files"])
        self.epochs = sorted(int(name.stem) for name in names)

    def states(self, epoch: int | None = None) -> list[resnet.State]:
        """The state of each run after an epoch, the last one by default."""
        number = self.epochs[-1] if epoch is None else epoch
        tensors = load_file(seals.verified(self.folder / f"{number}.safetensors"))
        return [{name: t[place] for name, t in tensors.items()} for place in range(len(self.runs))]
