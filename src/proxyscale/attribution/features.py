"""Projected per-example gradients of language models: the features that TRAK makes scores of.

φ(z) = Pᵀ∇f(z), f the mean log-odds of the true tokens: of a pool example all its tokens, of a
task's example its scored ones. Park et al. (2303.14186), section 3; Engstrom et al., DsDm
(2401.12926), section 2.2.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from proxyscale.attribution.feature_files import vouched, write_features
from proxyscale.attribution.gradients import GradientComputer
from proxyscale.attribution.projection import Projection
from proxyscale.base import artifacts, cost
from proxyscale.base.errors import UserError
from proxyscale.data.pool import Pool
from proxyscale.selection.candidates import candidate_ids
from proxyscale.training import language_model
from proxyscale.training.evaluate import Piece, pieces

BATCH = 16  # examples on a CPU core; on a GPU as many as its memory takes
SHARE = 0.8  # of a GPU's free memory that they may take
MOST = 256  # examples on a GPU


class Batch(NamedTuple):
    """Inputs, the tokens that follow them and which of these are scored: [batch, pieces, n]."""

    tokens: Tensor
    true: Tensor
    scored: Tensor


class Examples(NamedTuple):
    """Whose features are wanted: their ids, and how to read a slice of them for a context."""

    split: str  # pool, target or holdout
    ids: np.ndarray
    origin: str  # digest of what they are read from
    read: Callable[[slice, int], Batch]


def pool_examples(pool: Path, ids: np.ndarray) -> Examples:
    """Examples of the pool, by id; f is over all their tokens."""
    opened = Pool.open(pool)

    def read(where: slice, context: int) -> Batch:
        rows = torch.from_numpy(opened.rows(ids[where]).astype(np.int64))
        tokens = rows.view(len(rows), -1, context)
        scored = torch.ones_like(tokens, dtype=torch.bool)
        scored[..., -1] = False
        return Batch(tokens, tokens.roll(-1, 2), scored)

    return Examples("pool", np.asarray(ids), artifacts.sha256(pool), read)


def task_examples(task: Path, split: str) -> Examples:
    """The `split` examples of a task, with their gold choices; f is over their scored tokens.

    UserError if the task has no examples of that split.
    """
    path = task / f"{split}.parquet"
    table = artifacts.read(path, "task")
    table = table.filter(table["gold"])
    if not len(table):
        raise UserError(f"the task has no {split} examples", where=str(path))
    rows = [np.asarray(row) for row in table["tokens"].to_pylist()]
    starts = table["scored_from"].to_pylist()

    def read(where: slice, context: int) -> Batch:
        chosen = zip(rows[where], starts[where], strict=True)
        return _pad([list(pieces(row, start, context)) for row, start in chosen])

    return Examples(split, table["example"].to_numpy(), artifacts.sha256(path), read)


def _pad(examples: list[list[Piece]]) -> Batch:
    """Examples of different lengths side by side, filled up behind their ends, unscored."""
    length = max(len(piece.tokens) for example in examples for piece in example) - 1
    shape = (len(examples), max(map(len, examples)), length)
    tokens, true = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
    scored = torch.zeros(shape, dtype=torch.bool)
    for row, example in enumerate(examples):
        for part, piece in enumerate(example):
            values, size = torch.from_numpy(piece.tokens.astype(np.int64)), len(piece.tokens) - 1
            tokens[row, part, :size], true[row, part, :size] = values[:-1], values[1:]
            scored[row, part, piece.scored_from - 1 : size] = True
    return Batch(tokens, true, scored)


def pool_part(folder: Path) -> Path:
    """Where a run's features of the candidates lie."""
    return folder / "pool"


def target_part(folder: Path, task: str) -> Path:
    """Where a run's features of a task's target examples lie."""
    return folder / f"{task}.target"


def features(
    out: Path,
    run: Path,
    pool: Path,
    tasks: Mapping[str, Path],
    spec: Mapping[str, Any],
    title: str,
    version: str,
) -> None:
    """Write a run's features of candidates of the pool, and of the tasks' target examples.

    `spec`: candidates (their number; None: all), candidate_sources (None: all), dimension k, seed
    of the candidates and of the projection, perhaps precision, keep and uncovered (`featurize`),
    and shards, where other jobs made those of the candidates (`shard`). Features that are there and
    vouched for by their manifest (same model, examples, spec, `version` of the code, same bytes)
    are not made again.
    """
    how = _how(spec, version)
    if spec.get("shards", 1) > 1:
        gather(pool_part(out), [shard_part(out, n) for n in range(spec["shards"])])
    else:
        featurize(pool_part(out), run, pool_examples(pool, _candidates(pool, spec)), how, title)
    for name, folder in tasks.items():
        wanted = task_examples(folder, "target")
        exact = {key: value for key, value in how.items() if key != "keep"}
        featurize(target_part(out, name), run, wanted, exact, f"{title} {name}")


def shard(
    out: Path, run: Path, pool: Path, spec: Mapping[str, Any], title: str, version: str
) -> None:
    """Write a run's features of one shard of the candidates: `spec["shard"]` of `spec["shards"]`.

    Every job's are consecutive candidates, as many as every other's but for one.
    """
    ids = np.array_split(_candidates(pool, spec), spec["shards"])[spec["shard"]]
    featurize(out, run, pool_examples(pool, ids), _how(spec, version), title)


def _candidates(pool: Path, spec: Mapping[str, Any]) -> np.ndarray:
    sources = spec.get("candidate_sources")
    return candidate_ids(Pool.open(pool), spec["candidates"], spec["seed"], sources)


def _how(spec: Mapping[str, Any], version: str) -> dict[str, Any]:
    """What features of any examples depend on."""
    said = {key: spec[key] for key in ("precision", "keep", "uncovered") if key in spec}
    return {"dimension": spec["dimension"], "seed": spec["seed"], "version": version, **said}


def shard_part(folder: Path, number: int) -> Path:
    """Where a run's features of a shard of the candidates lie."""
    return folder / "shards" / str(number)


def gather(out: Path, shards: Sequence[Path]) -> None:
    """Write a manifest that puts shards side by side. ValueError if they do not belong together."""
    opened = [artifacts.read_json(path / "manifest.json") for path in shards]
    facts = [{k: v for k, v in own.items() if k != "files"} for own in opened]
    if any(own != facts[0] for own in facts):
        raise ValueError(f"{shards[0].parent} holds shards of different jobs")
    out.mkdir(parents=True, exist_ok=True)
    for name in ("features.npy", "ids.npy"):  # of one job that made them all
        (out / name).unlink(missing_ok=True)
    names = [os.path.relpath(path, out) for path in shards]
    manifests = [path / "manifest.json" for path in shards]
    artifacts.write_manifest(out / "manifest.json", manifests, shards=names, **facts[0])


def featurize(
    out: Path,
    run: Path,
    examples: Examples,
    spec: Mapping[str, Any],
    title: str = "features",
    threads: int | None = None,
) -> None:
    """Write a trained run's features of the examples: features.npy f32 [n, k], ids.npy u32 [n].

    `spec`: dimension k and seed of the projection, precision that gradients are made in (fp32,
    tf32, bf16), keep (see `feature_files`), perhaps `uncovered` (see `GradientComputer`). An
    interrupted job goes on where it was, and a finished one is left as it is, if model, examples
    and spec are still the same.
    """
    facts = {
        "model": artifacts.sha256(run / "model.safetensors"),
        "split": examples.split,
        "examples": examples.origin,
        **spec,
    }
    if vouched(out, examples.ids, facts):
        return
    language_model.prepare_cpu(threads)
    device = language_model.device()
    model = language_model.load(run).to(device)
    precision = spec.get("precision", "fp32")
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    compute = GradientComputer(model, spec.get("uncovered", "error"), precision)
    projection = Projection(spec["dimension"], spec["seed"], device)

    def features(where: slice) -> Tensor:
        batch = examples.read(where, model.context)
        total = projection.start(len(batch.tokens))
        for name, rows, gradient in compute(*(part.to(device) for part in batch)):
            projection.add(total[rows], name, gradient)
        return projection.finish(total)

    batch = _batch(run, examples, model.context, device)
    write_features(out, examples.ids, facts, features, batch, title)


def _batch(run: Path, examples: Examples, context: int, device: torch.device) -> int:
    """Examples whose gradients are made together: a power of two on a GPU."""
    if device.type == "cpu":
        return BATCH
    made = artifacts.read_json(run / "manifest.json")["model"]
    length = examples.read(slice(0, 1), context).tokens[0].numel()
    free = SHARE * torch.cuda.mem_get_info(device)[0]
    fits = int(free / cost.gradient_bytes(made, length))
    return min(MOST, 1 << max(0, fits.bit_length() - 1))
