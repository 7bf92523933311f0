"""What a run sees, in which order: the same for every engine, and for every scale if asked."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.tables import where
from proxyscale.data.pool import Pool


def draw_ids(distribution: Path, draw: int) -> np.ndarray:
    """The pool ids of one draw, in the order of the table. UserError if there is no such draw."""
    return read_draws(distribution, [draw])[draw]


def read_draws(distribution: Path, draws: Iterable[int]) -> dict[int, np.ndarray]:
    """The same of several draws, read together."""
    table = artifacts.read(distribution, "distribution", ["draw", "example"])
    found = {draw: where(table, draw=draw)["example"].to_numpy() for draw in sorted(set(draws))}
    for draw, ids in found.items():
        if not len(ids):
            allowed = pc.unique(table["draw"]).to_pylist()
            raise UserError(f"no draw {draw}", where=str(distribution), value=draw, allowed=allowed)
    return found


def order(ids: np.ndarray, count: int, draw: int, seed: int, own: str = "") -> np.ndarray:
    """The first `count` ids that a run sees: a new permutation of `ids` for every epoch.

    It depends on nothing but `ids`, `draw` and `seed`, so that a smaller scale sees a prefix of it,
    and on `own`: the name of a scale that is to have an order of its own.
    """
    key = [draw, seed, *([zlib.crc32(own.encode())] if own else [])]
    epochs = range(-(-count // len(ids)))
    permutations = [np.random.default_rng([*key, epoch]).permutation(ids) for epoch in epochs]
    return np.concatenate(permutations)[:count]


class Batches:
    """The examples that a run sees, cut into pieces of the model's context.

    `spec["order"]`, if it is there, names the scale that has an order of its own.
    `batches[step]` is [batch, context] in the pool's type; `epochs` the passes over `ids` that all
    steps take. UserError where the scale and the pool do not fit each other.
    """

    def __init__(self, spec: Mapping[str, Any], pool: Pool, ids: np.ndarray) -> None:
        training, self.context = spec["training"], spec["model"]["context"]
        _check(spec, pool)
        self.pool = pool
        self.batch = training["batch_tokens"] // self.context
        self.steps: int = training["tokens"] // training["batch_tokens"]
        self.pieces = pool.length // self.context
        count = -(-self.steps * self.batch // self.pieces)
        self.order = order(ids, count, spec["draw"], spec["seed"], spec.get("order", ""))
        self.epochs = self.steps * self.batch / self.pieces / len(ids)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> np.ndarray:
        start, stop = step * self.batch, (step + 1) * self.batch
        first = start // self.pieces
        rows = self.pool.rows(self.order[first : -(-stop // self.pieces)])
        cut = rows.reshape(-1, self.context)
        return cut[start - first * self.pieces : stop - first * self.pieces]


def _check(spec: Mapping[str, Any], pool: Pool) -> None:
    model, training = spec["model"], spec["training"]
    context, batch, tokens = model["context"], training["batch_tokens"], training["tokens"]
    if pool.length % context:
        message = f"examples of {pool.length} tokens cannot be cut into contexts of {context}"
        raise UserError(message, where="context")
    if batch % context:
        message = f"a batch of {batch} tokens is no whole number of contexts of {context}"
        raise UserError(message, where="batch_tokens")
    if tokens < batch:
        raise UserError(f"{tokens} tokens are less than a batch of {batch}", where="tokens")
    if model["vocabulary"] < pool.vocabulary:
        message = f"the model's vocabulary of {model['vocabulary']} does not hold the pool's"
        raise UserError(message, where="vocabulary", hint=f"at least {pool.vocabulary}")
