from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.language_runs import LENGTH, write_pool, write_run, write_task
from torch import Tensor

from proxyscale.attribution import feature_files, features
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.pool import Pool
from proxyscale.training import language_model

FEATURES = {"dimension": 64, "seed": 0}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("files")
    pool = write_pool(root)
    write_task(root / "task", pool)
    for seed in (0, 1):
        write_run(root / f"run{seed}", seed)
    return root


@pytest.fixture
def pool_rows(files):
    ids = np.arange(3, 60, 2)
    return features.pool_examples(files / "pool" / "manifest.json", ids)


def computed(out: Path, run: Path, examples, **changes) -> np.ndarray:
    features.featurize(out, run, examples, {**FEATURES, **changes})
    return np.load(out / "features.npy")


def reference(run: Path, tokens: np.ndarray, scored_from: int) -> np.ndarray:
    """The features of one row, by autograd and the projection of its whole gradient."""
    model = language_model.load(run)
    row = torch.from_numpy(tokens.astype(np.int64))[None]
    p = torch.softmax(model(row[:, :-1]), 2).gather(2, row[:, 1:, None])[0, :, 0]
    output = torch.log(p / (1 - p))[scored_from - 1 :].mean()
    gradients = torch.autograd.grad(output, list(model.parameters()))
    projection = features.Projection(FEATURES["dimension"], FEATURES["seed"])
    total = projection.start(1)
    for (name, _), gradient in zip(model.named_parameters(), gradients, strict=True):
        projection.add(total, name, gradient[None])
    return projection.finish(total)[0].numpy()


def test_pool_features_are_projected_gradients(files, pool_rows, tmp_path):
    found = computed(tmp_path / "f", files / "run0", pool_rows)
    rows = Pool.open(files / "pool" / "manifest.json").rows(pool_rows.ids)
    assert found.dtype == np.float32
    assert np.array_equal(np.load(tmp_path / "f" / "ids.npy"), pool_rows.ids)
    for index in (0, 5, 28):
        expected = reference(files / "run0", rows[index], 1)
        assert np.allclose(found[index], expected, atol=1e-5 * np.abs(expected).max())


def test_task_features_are_of_the_gold_choices_scored_tokens(files, tmp_path):
    examples = features.task_examples(files / "task", "target")
    found = computed(tmp_path / "f", files / "run0", examples)
    table = artifacts.read(files / "task" / "target.parquet", "task").to_pylist()
    assert examples.ids.tolist() == list(range(100, 107))
    for value, row in zip(found, table[1::2], strict=True):
        expected = reference(files / "run0", np.array(row["tokens"]), row["scored_from"])
        assert np.allclose(value, expected, atol=1e-5 * np.abs(expected).max())


def test_features_for_selection_never_open_the_holdout(files, tmp_path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "target.parquet").symlink_to(files / "task" / "target.parquet")
    pool, tasks = files / "pool" / "manifest.json", {"t": tmp_path / "task"}
    spec = {"candidates": 5, **FEATURES}
    features.features(tmp_path / "f", files / "run0", pool, tasks, spec, "", "")
    made = feature_files.Features.open(features.target_part(tmp_path / "f", "t"))
    assert made.facts["split"] == "target"
    target = features.task_examples(files / "task", "target")
    assert np.array_equal(made.values, computed(tmp_path / "g", files / "run0", target))


def test_a_short_context_averages_over_its_pieces(files, pool_rows, tmp_path):
    run = write_run(tmp_path / "run", context=LENGTH // 2)
    found = computed(tmp_path / "f", run, pool_rows)
    rows = Pool.open(files / "pool" / "manifest.json").rows(pool_rows.ids[:1])
    halves = [reference(run, half, 1) for half in rows.reshape(2, -1)]
    assert np.allclose(found[0], np.mean(halves, axis=0), atol=1e-5)


def test_batch_size_and_order_change_nothing(files, pool_rows, tmp_path, monkeypatch):
    found = computed(tmp_path / "a", files / "run0", pool_rows)
    monkeypatch.setattr(features, "BATCH", 5)
    order = np.random.default_rng(0).permutation(len(pool_rows.ids))
    shuffled = features.pool_examples(files / "pool" / "manifest.json", pool_rows.ids[order])
    again = computed(tmp_path / "b", files / "run0", shuffled)
    assert np.allclose(again, found[order], rtol=1e-4, atol=1e-6)


def test_the_seed_is_the_projections(files, pool_rows, tmp_path):
    first = computed(tmp_path / "a", files / "run0", pool_rows)
    assert np.array_equal(first, computed(tmp_path / "b", files / "run0", pool_rows))
    assert not np.allclose(first, computed(tmp_path / "c", files / "run0", pool_rows, seed=1))


def test_no_examples_is_told(tmp_path):
    empty = artifacts.SCHEMAS["task"].empty_table()
    artifacts.write(tmp_path / "target.parquet", empty, "task")
    with pytest.raises(UserError, match="no target examples"):
        features.task_examples(tmp_path, "target")


# interruption


class Interrupted(Exception):
    pass


def run_stream(out: Path, stop: int | None, seed: int = 0, count: int = 50) -> list[int]:
    """Stream numbers in slices of 8; give up before the slice that holds `stop`."""
    seen: list[int] = []

    def values(where: slice) -> Tensor:
        if stop is not None and where.start <= stop < where.stop:
            raise Interrupted
        seen.append(where.start)
        rows = torch.arange(where.start, where.stop, dtype=torch.float32)
        return rows[:, None] + seed * torch.ones(1, 3)

    facts = {"dimension": 3, "seed": seed, "split": "pool"}
    feature_files.write_features(out, np.arange(count), facts, values, 8, "features")
    return seen


def test_an_interrupted_job_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_files, "FLUSH", 8)
    with pytest.raises(Interrupted):
        run_stream(tmp_path / "a", stop=27)
    assert not (tmp_path / "a" / "manifest.json").exists()
    assert run_stream(tmp_path / "a", stop=None) == [24, 32, 40, 48]
    run_stream(tmp_path / "b", stop=None)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["features.npy", "ids.npy", "manifest.json"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert np.array_equal(np.load(tmp_path / "a" / "features.npy")[:, 0], np.arange(50))


def test_nothing_is_kept_of_another_job(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_files, "FLUSH", 8)
    with pytest.raises(Interrupted):
        run_stream(tmp_path, stop=27)
    assert run_stream(tmp_path, stop=None, seed=1)[0] == 0
    with pytest.raises(Interrupted):
        run_stream(tmp_path, stop=27)
    assert run_stream(tmp_path, stop=None, count=60)[0] == 0


# shards, precision, what is kept


def test_shards_side_by_side_are_the_whole(files, tmp_path):
    pool, run = files / "pool" / "manifest.json", files / "run0"
    spec = {"candidates": 23, **FEATURES}
    features.features(tmp_path / "whole", run, pool, {}, spec, "", "")
    several = spec | {"shards": 4}
    for number in (2, 0, 3, 1):
        out = features.shard_part(tmp_path / "parts", number)
        features.shard(out, run, pool, several | {"shard": number}, "", "")
    features.features(tmp_path / "parts", run, pool, {}, several, "", "")
    parts, whole = (
        feature_files.Features.open(features.pool_part(tmp_path / name))
        for name in ("parts", "whole")
    )
    assert np.array_equal(parts.ids, whole.ids)
    assert {len(file) for file in parts.values.files} == {5, 6}
    assert np.allclose(np.array(parts.values), np.array(whole.values), rtol=1e-4, atol=1e-6)
    assert np.array_equal(parts.values[4:13], np.array(parts.values)[4:13])
    (found,) = parts.blocks(torch.device("cpu"))
    assert np.array_equal(found.numpy(), np.array(parts.values))


def test_a_task_more_is_all_that_is_made(files, tmp_path):
    pool, run, spec = files / "pool" / "manifest.json", files / "run0", FEATURES | {"candidates": 8}
    tasks = {"a": files / "task"}
    features.features(tmp_path, run, pool, tasks, spec, "", "")
    before = {path: path.stat().st_ino for path in tmp_path.rglob("features.npy")}
    features.features(tmp_path, run, pool, tasks | {"b": files / "task"}, spec, "", "")
    after = {path: path.stat().st_ino for path in tmp_path.rglob("features.npy")}
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {features.target_part(tmp_path, "b") / "features.npy"}


def test_shards_of_different_jobs_never_meet(files, tmp_path):
    spec = {"candidates": 8, "shards": 2, **FEATURES}
    for number, seed in enumerate((0, 1)):
        out, run = features.shard_part(tmp_path, number), files / f"run{seed}"
        pool = files / "pool" / "manifest.json"
        features.shard(out, run, pool, spec | {"shard": number}, "", "")
    with pytest.raises(ValueError, match="different jobs"):
        features.features(tmp_path, files / "run0", pool, {}, spec, "", "")


@pytest.mark.parametrize(("keep", "rounding"), [("fp16", 2**-11), ("int8", 0.5 / 127)])
def test_what_is_kept_is_right_to_its_rounding(keep, rounding):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 33)) * 10.0 ** rng.integers(-30, 30, (50, 1))
    values = values.astype(np.float32)
    values[7] = 0
    rows = feature_files.encoded(values, keep)
    assert rows.shape[1] * rows.itemsize == feature_files.row_bytes(33, keep)
    largest = np.abs(values).max(1, keepdims=True)
    error = np.abs(feature_files.decoded(rows, keep).astype(float) - values)
    assert (error <= 1.001 * rounding * largest).all()


def test_a_batch_that_does_not_fit_is_halved(tmp_path):
    sizes = []

    def values(where: slice) -> Tensor:
        sizes.append(where.stop - where.start)
        if sizes[-1] > 3:
            raise torch.cuda.OutOfMemoryError
        return torch.arange(where.start, where.stop, dtype=torch.float32)[:, None]

    feature_files.write_features(tmp_path, np.arange(10), {"dimension": 1}, values, 8, "features")
    assert sizes == [8, 4, *[2] * 5]
    assert np.load(tmp_path / "features.npy")[:, 0].tolist() == list(range(10))
