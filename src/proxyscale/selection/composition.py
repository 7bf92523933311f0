"""What distributions are made of: their shares of the sources, and what they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.tables import where
from proxyscale.data.pool import Pool

Row = dict[str, Any]


def composition(pool: Path, distributions: Mapping[str, Path]) -> list[Row]:
    """A row per distribution and draw: its size, share of every source, overlap with the others.

    `in:NAME` is the share of its different examples that stand in NAME's first draw, too. Shares
    of a mixture are its weights, to 1 / size.
    """
    opened = Pool.open(pool)
    read = {name: artifacts.read(path, "distribution") for name, path in distributions.items()}
    first = {name: np.unique(_examples(table, 0)) for name, table in read.items()}
    rows = []
    for name, table in read.items():
        for draw in pc.unique(table["draw"]).to_pylist():
            ids = _examples(table, draw)
            different = np.unique(ids)
            row: Row = {"distribution": name, "draw": draw, "examples": len(ids)}
            row["different"] = len(different)
            row |= _shares(opened, ids)
            row |= {
                f"in:{other}": float(np.isin(different, theirs).mean())
                for other, theirs in first.items()
            }
            rows.append(row)
    return rows


def write_mixtures(out: Path, pool: Path, distributions: Mapping[str, Path]) -> None:
    """A CSV with a row per distribution (`recipe`) and a column per source: the share of its
    examples, over all draws. A regression on mixtures reads it."""
    opened = Pool.open(pool)
    rows = {
        name: _shares(opened, artifacts.read(path, "distribution")["example"].to_numpy())
        for name, path in distributions.items()
    }
    frame = pd.DataFrame.from_dict(rows, "index", columns=opened.sources)
    with artifacts.atomic(out) as temporary:
        frame.to_csv(temporary, index_label="recipe")


def _shares(pool: Pool, ids: np.ndarray) -> dict[str, float]:
    """The share of the examples that comes from every source."""
    counts = np.bincount(pool.source_of(ids), minlength=len(pool.sources))
    return {s: float(n) for s, n in zip(pool.sources, counts / len(ids), strict=True)}


def _examples(table: pa.Table, draw: int) -> np.ndarray:
    return np.asarray(where(table, draw=draw)["example"].to_numpy())
