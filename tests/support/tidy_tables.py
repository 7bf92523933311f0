"""Tidy tables of plain arrays, and the rows of a table by the values of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts

Values = Mapping[str, Mapping[str, np.ndarray]]


def tables(values: Values, role: str = "grid", flops: float | None = None) -> list[pa.Table]:
    """Losses and runs of {scale: {task: [recipes, seeds]}}."""
    losses, runs = [], []
    for place, (scale, tasks) in enumerate(values.items()):
        for recipe, seed in np.ndindex(next(iter(tasks.values())).shape):
            key = {"scale": scale, "distribution": f"d{recipe}", "draw": 0, "seed": seed}
            runs.append(key | {"role": role, "tokens": 101, "flops": flops or 10.0 ** (place + 9)})
            losses += [
                key | {"task": t, "example": 0, "loss": float(v[recipe, seed])}
                for t, v in tasks.items()
            ]
    kinds = zip((losses, runs), ("losses", "runs"), strict=True)
    return [artifacts.conform(pa.Table.from_pylist(rows), kind) for rows, kind in kinds]


def rows(table: pa.Table, **wanted: Any) -> list[dict[str, Any]]:
    """Those that have these values."""
    for column, value in wanted.items():
        table = table.filter(pc.equal(table[column], value))
    return table.to_pylist()
