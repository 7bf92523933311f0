"""What a selection method may look at: pool examples, their scores and losses, target examples.

The holdout of a task is only ever measured: neither it nor scores computed for it get in here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.forks import in_order
from proxyscale.data.packing import END
from proxyscale.data.pool import Pool

if TYPE_CHECKING:
    from tokenizers import Tokenizer

T = TypeVar("T")
DECODED = 256  # rows that are text at one time
PART = 4000  # candidates whose texts one process works on at a time


@dataclass(frozen=True)
class Candidates:
    """The examples to choose from, in the order in which a method scores them."""

    pool: Pool
    ids: np.ndarray  # pool ids, ascending
    rng: np.random.Generator  # differs from draw to draw
    tokenizer: Tokenizer | None = None
    target: pa.Table | None = None
    table: pa.Table | None = None  # a score table
    measured: pa.Table | None = None  # a table of the candidates' losses
    processes: int = 1  # that share the work on texts

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def sources(self) -> np.ndarray:
        """The source's name of every candidate, str [n]."""
        return np.asarray(np.asarray(self.pool.sources)[self.pool.source_of(self.ids)])

    def tokens(self) -> np.ndarray:
        """Token ids [n, length]."""
        return self.pool.rows(self.ids)

    def texts(self) -> Iterator[str]:
        """The candidates' text, some at a time; a line break stands between two documents."""
        return self._texts(0, len(self))

    def map_texts(self, function: Callable[[Iterator[str]], T]) -> Iterator[T]:
        """What a function makes of the texts of one part of the candidates after another, in order.

        Where the job has several processes, they share the parts, which are the same for any
        number of them: what the function remembers or draws must not change what it makes.
        """
        starts = range(0, len(self), PART)

        def made(number: int) -> T:
            return function(self._texts(starts[number], starts[number] + PART))

        return in_order(made, len(starts), self.processes)

    def sample(self, count: int) -> Candidates:
        """So many of the candidates at random; all if there are no more."""
        if len(self) <= count:
            return self
        ids = np.sort(self.rng.choice(self.ids, count, replace=False))
        return dataclasses.replace(self, ids=ids)

    def target_texts(self) -> list[str]:
        """The text of the target examples, each with its gold choice."""
        return self._decode(self._targets().filter(pc.field("gold"))["tokens"].to_pylist())

    def scores(self) -> np.ndarray:
        """The score of every candidate, f64 [n], for a method that needs `scores`."""
        return self._column(self.table, "score", "scores")

    def losses(self) -> np.ndarray:
        """The loss of every candidate under the scoring models, averaged: nats per token, f64 [n].

        For a method that needs `losses`; its exponential is the perplexity.
        """
        return self._column(self.measured, "loss", "losses")

    def _column(self, table: pa.Table | None, column: str, need: str) -> np.ndarray:
        """A column of a table of the candidates, in their order."""
        if table is None:
            raise UserError(
                f"this method reads {need}, and none were given",
                hint=f"declare it, @selection(needs=({need!r},)), and name scored_on",
            )
        examples = table["example"].to_numpy()
        order = np.argsort(examples)
        where = np.minimum(np.searchsorted(examples[order], self.ids), len(examples) - 1)
        if len(examples) == 0 or not np.array_equal(examples[order][where], self.ids):
            message = f"some candidates have no {column}"
            raise UserError(
                message, hint="the number and seed of the candidates must be those scored"
            )
        return np.asarray(table[column].to_numpy()[order][where], np.float64)

    def _targets(self) -> pa.Table:
        if self.target is None:
            raise UserError(
                "this method compares with a task, and none was given", hint="name a target"
            )
        if len(self.target) == 0:
            raise UserError("the target task has no target examples", hint="set its `target`")
        return self.target

    def _texts(self, begin: int, end: int) -> Iterator[str]:
        ids = self.ids[begin:end]
        for start in range(0, len(ids), DECODED):
            yield from self._decode(self.pool.rows(ids[start : start + DECODED]).tolist())

    def _decode(self, rows: list[list[int]]) -> list[str]:
        if self.tokenizer is None:
            raise UserError("this method reads text, and no tokenizer was given")
        texts = self.tokenizer.decode_batch(rows, skip_special_tokens=False)
        return [text.replace(END, "\n") for text in texts]


def candidate_ids(
    pool: Pool, count: int | None, seed: int, sources: Sequence[str] | None = None
) -> np.ndarray:
    """Pool ids to choose from, ascending: `count` at random (None: all) of `sources` (None: all).

    They depend on nothing else, so that all methods choose from the same.
    """
    if sources is None:
        ids = np.arange(len(pool))
    else:
        ids = np.sort(np.concatenate([np.asarray(pool.ids_of(name)) for name in sources]))
    if count is None:
        return ids
    if count > len(ids):
        message = f"{count} candidates are asked for and there are {len(ids)} examples"
        raise UserError(message, where="candidates", value=count)
    return np.sort(np.random.default_rng(seed).choice(ids, count, replace=False))


def read_target(path: Path) -> pa.Table:
    """The target examples of a task. UserError for any other split: it is only ever measured."""
    if path.resolve().name != "target.parquet":
        message = "selection may look at target examples only, which lie in target.parquet"
        raise UserError(message, where=str(path))
    return artifacts.read(path, "task")


def read_scores(path: Path) -> pa.Table:
    """A score table. UserError unless its manifest says that it was scored on target examples."""
    split = artifacts.read_json(path.resolve().with_suffix(".json")).get("split")
    if split != "target":
        message = f"selection may use scores of target examples only; these are of {split!r}"
        raise UserError(message, where=str(path))
    return artifacts.read(path, "score")
