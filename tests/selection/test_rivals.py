"""Rivals that train nothing: their tables, and that they prefer what a test set is made of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from support.language_runs import write_pool

from proxyscale.base import artifacts
from proxyscale.data.pool import Pool
from proxyscale.selection import rivals


@pytest.fixture
def pool(tmp_path):
    return write_pool(tmp_path)


def distribution(folder, name, draws):
    ids = np.concatenate(draws)
    numbers = np.repeat(np.arange(len(draws)), [len(one) for one in draws])
    table = pa.table({"draw": numbers, "example": ids})
    artifacts.write(
        folder / f"{name}.parquet", artifacts.conform(table, "distribution"), "distribution"
    )
    return folder / f"{name}.parquet"


def task(folder, rows):
    """Rows of the pool with another answer beside each, which must not be looked at."""
    columns = {
        "example": np.repeat(np.arange(len(rows)) + 10, 2),
        "choice": [0, 1] * len(rows),
        "gold": [True, False] * len(rows),
        "tokens": [tokens for row in rows for tokens in (row.tolist(), [0] * len(row))],
        "scored_from": [3, 1] * len(rows),
    }
    table = artifacts.conform(pa.table(columns), "task")
    artifacts.write(folder / "holdout.parquet", table, "task")
    return folder


def written(tmp_path, pool, distributions, tasks, names=("ngram", "overlap")):
    files = tmp_path / "losses.parquet", tmp_path / "runs.parquet"
    rivals.write_rivals(*files, names, pool, distributions, tasks)
    return [artifacts.read(f, k) for f, k in zip(files, ("losses", "runs"), strict=True)]


def test_the_distribution_that_holds_the_test_set_has_the_lowest_losses(tmp_path, pool):
    rows = Pool.open(pool).rows(np.arange(20))
    held = {
        "own": distribution(tmp_path, "own", [np.arange(20)]),
        "other": distribution(tmp_path, "other", [np.arange(30, 50)]),
    }
    losses, runs = written(tmp_path, pool, held, {"t": task(tmp_path / "t", rows[:5])})
    frame = losses.to_pandas()
    assert frame["example"].unique().tolist() == [10, 11, 12, 13, 14]
    assert (frame["tokens"] == 13).all()
    for _, mine in frame.groupby(["scale", "example"]):
        by = mine.set_index("distribution")["loss"]
        assert by["own"] < by["other"]
    mine = frame.query("scale == 'overlap' and distribution == 'own'")
    np.testing.assert_allclose(mine["loss"], 0, atol=1e-12)
    assert set(runs["role"].to_pylist()) == {"rival"}
    assert set(runs["tokens"].to_pylist()) == {20 * 16}
    assert runs["flops"].to_pylist() == [4 * 320.0] * 4


def test_every_draw_is_a_run_and_a_large_distribution_is_read_in_part(tmp_path, pool, monkeypatch):
    draws = [np.arange(10), np.arange(20, 40)]
    held = {"d": distribution(tmp_path, "d", draws)}
    tasks = {"t": task(tmp_path / "t", Pool.open(pool).rows(np.arange(3)))}
    monkeypatch.setattr(rivals, "MOST_TOKENS", 15 * 16)
    losses, runs = written(tmp_path, pool, held, tasks, ["ngram"])
    assert runs.select(["scale", "draw", "tokens"]).to_pylist() == [
        {"scale": "ngram", "draw": 0, "tokens": 160},
        {"scale": "ngram", "draw": 1, "tokens": 240},
    ]
    assert losses.num_rows == 6
    again, _ = written(tmp_path, pool, held, tasks, ["ngram"])
    assert again.equals(losses)
