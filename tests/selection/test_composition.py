"""What distributions are made of, by draw and as mixtures of the sources."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from support.language_runs import write_pool

from proxyscale.base import artifacts
from proxyscale.data.pool import Pool
from proxyscale.selection.composition import composition, write_mixtures
from proxyscale.tables.weights import read_weights


def write(path: Path, draws: list[list[int]]) -> Path:
    parts = [
        pa.table({"draw": [draw] * len(ids), "example": ids, "score": [0.0] * len(ids)})
        for draw, ids in enumerate(draws)
    ]
    artifacts.write(path, pa.concat_tables(parts), "distribution")
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A pool of two sources, a and b, of one size."""
    pool = write_pool(tmp_path)
    n = len(Pool.open(pool))
    facts = artifacts.read_json(pool)
    half = {**facts["sources"][0], "name": "b", "offset": n}
    artifacts.write_json(pool, {**facts, "rows": 2 * n, "sources": [*facts["sources"], half]})
    return pool


def test_composition_counts_sources_and_overlaps(pool: Path, tmp_path: Path) -> None:
    n = len(Pool.open(pool)) // 2
    one = write(tmp_path / "one.parquet", [[0, 1, 2, n], [n, n + 1, n + 2, n + 3]])
    two = write(tmp_path / "two.parquet", [[0, 0, n + 1, n + 1]])
    rows = composition(pool, {"one": one, "two": two})
    assert [(row["distribution"], row["draw"]) for row in rows] == [
        ("one", 0),
        ("one", 1),
        ("two", 0),
    ]
    assert [(row["a"], row["b"]) for row in rows] == [(0.75, 0.25), (0, 1), (0.5, 0.5)]
    assert [row["different"] for row in rows] == [4, 4, 2]
    assert [row["in:two"] for row in rows] == [0.25, 0.25, 1]
    assert [row["in:one"] for row in rows] == [1, 0.25, 0.5]


def test_shares_of_a_mixture_are_those_of_the_examples(pool: Path, tmp_path: Path) -> None:
    n = len(Pool.open(pool)) // 2
    ids = {"one": [[0, n - 1, n, 2 * n - 1]], "other": [[n, n + 1], [0, n + 1]]}
    paths = {name: write(tmp_path / f"{name}.parquet", draws) for name, draws in ids.items()}
    write_mixtures(tmp_path / "mixtures.csv", pool, paths)
    found = read_weights(tmp_path / "mixtures.csv", "*", "recipe").shares
    assert found == {"one": [0.5, 0.5], "other": [0.25, 0.75]}
