"""Rivals of proxies, which train nothing: what n-grams alone say of a test set.

- `ngram`: the loss of an n-gram model of the distribution's tokens, in nats per scored token.
- `overlap`: the share of an example's n-grams, prompt and right answer, that the distribution does
  not have, mean over lengths.

They stand in tables as runs of a scale, whose compute is an operation for each n-gram counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.tables import where, with_constants
from proxyscale.data.pool import Pool
from proxyscale.selection.ngrams import ORDER, Ngrams, Text

NGRAM, OVERLAP = "ngram", "overlap"
ROLE = "rival"
MOST_TOKENS = 10_000_000  # of a distribution; of a larger one a random part is read


def write_rivals(
    losses: Path,
    runs: Path,
    rivals: Sequence[str],
    pool: Path,
    distributions: Mapping[str, Path],
    tasks: Mapping[str, Path],
) -> None:
    """Write tables of kinds `losses` and `runs`: the named rivals as scales, a run a draw."""
    opened = Pool.open(pool)
    asked = {name: _asked(folder) for name, folder in tasks.items()}
    tables, rows = [], []
    for name, path in distributions.items():
        for draw, ids in _draws(path):
            counted = Ngrams(opened.rows(_some(ids, draw, opened.length)), opened.vocabulary)
            for rival in rivals:
                key = {"scale": rival, "distribution": name, "draw": draw, "seed": 0}
                tokens = min(len(ids), MOST_TOKENS // opened.length) * opened.length
                rows.append(key | {"role": ROLE, "tokens": tokens, "flops": float(ORDER * tokens)})
                for task, table in asked.items():
                    found = with_constants(_losses(rival, counted, table), **key, task=task)
                    tables.append(artifacts.conform(found, "losses"))
    artifacts.write(losses, pa.concat_tables(tables), "losses")
    artifacts.write(runs, pa.Table.from_pylist(rows, artifacts.SCHEMAS["runs"]), "runs")


def _losses(rival: str, counted: Ngrams, asked: pa.Table) -> pa.Table:
    """The rival's loss on every example of a task: example, loss, tokens."""
    values, offsets = asked["tokens"].combine_chunks().flatten().to_numpy(), _offsets(asked)
    rows = np.split(values, offsets[1:-1])
    scored = asked["scored_from"].to_numpy()
    if rival == NGRAM:
        text = Text.of(rows, scored)
        loss = text.mean(counted.losses(text))
    else:
        text = Text.of(rows, np.zeros_like(scored))
        loss = text.mean(1 - counted.known(text))
    counts = np.diff(offsets) - scored
    return pa.table({"example": asked["example"], "loss": loss, "tokens": counts})


def _offsets(asked: pa.Table) -> np.ndarray:
    lengths = pc.list_value_length(asked["tokens"]).to_numpy()
    return np.concatenate([[0], np.cumsum(lengths)])


def _asked(folder: Path) -> pa.Table:
    """The right answers of a task's holdout, each behind its prompt."""
    columns = ["example", "gold", "tokens", "scored_from"]
    table = artifacts.read(folder / "holdout.parquet", "task", columns)
    return table.filter(table["gold"])


def _draws(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """The examples of every draw of a distribution."""
    table = artifacts.read(path, "distribution", ["draw", "example"])
    for draw in pc.unique(table["draw"]).to_pylist():
        yield draw, where(table, draw=draw)["example"].to_numpy()


def _some(ids: np.ndarray, draw: int, length: int) -> np.ndarray:
    """As many of the examples as have `MOST_TOKENS` tokens: all, or a random part."""
    most = MOST_TOKENS // length
    if len(ids) <= most:
        return ids
    chosen: np.ndarray[Any, Any] = np.random.default_rng(draw).permutation(ids)[:most]
    return chosen
