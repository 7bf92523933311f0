from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.language_runs import LENGTH, write_pool, write_run, write_task
from torch import Tensor

from proxyscale.attribution import language_scores
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
    return language_scores.pool_examples(files / "pool" / "manifest.json", ids)


def computed(out: Path, run: Path, examples, **changes) -> np.ndarray:
    language_scores.featurize(out, run, examples, {**FEATURES, **changes})
    return np.load(out / "features.npy")


# features


def reference(run: Path, tokens: np.ndarray, scored_from: int) -> np.ndarray:
    """The features of one row, by autograd and the projection of its whole gradient."""
    model = language_model.load(run)
    row = torch.from_numpy(tokens.astype(np.int64))[None]
    p = torch.softmax(model(row[:, :-1]), 2).gather(2, row[:, 1:, None])[0, :, 0]
    output = torch.log(p / (1 - p))[scored_from - 1 :].mean()
    gradients = torch.autograd.grad(output, list(model.parameters()))
    projection = language_scores.Projection(FEATURES["dimension"], FEATURES["seed"])
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
    examples = language_scores.task_examples(files / "task", "target")
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
    language_scores.features(tmp_path / "f", files / "run0", pool, tasks, spec, "", "")
    made = language_scores.Features.open(language_scores.target_part(tmp_path / "f", "t"))
    assert made.facts["split"] == "target"
    target = language_scores.task_examples(files / "task", "target")
    assert np.array_equal(made.values, computed(tmp_path / "g", files / "run0", target))


def test_a_short_context_averages_over_its_pieces(files, pool_rows, tmp_path):
    run = write_run(tmp_path / "run", context=LENGTH // 2)
    found = computed(tmp_path / "f", run, pool_rows)
    rows = Pool.open(files / "pool" / "manifest.json").rows(pool_rows.ids[:1])
    halves = [reference(run, half, 1) for half in rows.reshape(2, -1)]
    assert np.allclose(found[0], np.mean(halves, axis=0), atol=1e-5)


def test_batch_size_and_order_change_nothing(files, pool_rows, tmp_path, monkeypatch):
    found = computed(tmp_path / "a", files / "run0", pool_rows)
    monkeypatch.setitem(language_scores.BATCH, "cpu", 5)
    order = np.random.default_rng(0).permutation(len(pool_rows.ids))
    shuffled = language_scores.pool_examples(files / "pool" / "manifest.json", pool_rows.ids[order])
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
        language_scores.task_examples(tmp_path, "target")


# interruption


class Interrupted(Exception):
    pass


def run_stream(out: Path, stop: int | None, seed: int = 0, count: int = 50) -> list[int]:
    """Stream numbers in slices of 8; give up before the slice that holds `stop`."""
    seen: list[int] = []

    def features(where: slice) -> Tensor:
        if stop is not None and where.start <= stop < where.stop:
            raise Interrupted
        seen.append(where.start)
        rows = torch.arange(where.start, where.stop, dtype=torch.float32)
        return rows[:, None] + seed * torch.ones(1, 3)

    facts = {"dimension": 3, "seed": seed, "split": "pool"}
    language_scores.stream(out, np.arange(count), facts, features, 8, "features")
    return seen


def test_an_interrupted_job_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(language_scores, "FLUSH", 8)
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
    monkeypatch.setattr(language_scores, "FLUSH", 8)
    with pytest.raises(Interrupted):
        run_stream(tmp_path, stop=27)
    assert run_stream(tmp_path, stop=None, seed=1)[0] == 0
    with pytest.raises(Interrupted):
        run_stream(tmp_path, stop=27)
    assert run_stream(tmp_path, stop=None, count=60)[0] == 0


# scores


def features_of(values: np.ndarray, **facts) -> language_scores.Features:
    return language_scores.Features(np.arange(len(values), dtype=np.uint32), values, facts)


def test_scores_are_the_closed_form_on_a_logistic_model(monkeypatch):
    monkeypatch.setattr(language_scores, "ROWS", 17)
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(80, 6)), rng.choice([-1.0, 1.0], 80)
    weights = torch.tensor(rng.normal(size=6), requires_grad=True)

    def gradient(row: int) -> np.ndarray:
        p = torch.sigmoid(labels[row] * (torch.from_numpy(x[row]) @ weights))
        return torch.autograd.grad(torch.log(p / (1 - p)), weights)[0].numpy()

    phi = np.stack([gradient(row) for row in range(80)])
    train, test = phi[:70], phi[70:]
    found = language_scores.trak(features_of(train), torch.from_numpy(test), ridge=0.3).numpy()
    signed = x * labels[:, None]
    covariance = signed[:70].T @ signed[:70]
    penalty = 0.3 * np.linalg.eigvalsh(covariance).mean()
    inverse = np.linalg.inv(covariance + penalty * np.eye(6))
    assert np.allclose(found, signed[70:] @ inverse @ signed[:70].T, rtol=1e-10, atol=1e-13)


def test_fewer_examples_than_dimensions_equal_the_dual_form():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(9, 30)), rng.normal(size=(4, 30))
    found = language_scores.trak(features_of(train), torch.from_numpy(test), ridge=0.3).numpy()
    kernel = train @ train.T
    penalty = 0.3 * np.linalg.eigvalsh(kernel).mean() * np.eye(9)
    assert np.allclose(found, test @ train.T @ np.linalg.inv(kernel + penalty))


@pytest.fixture(scope="module")
def folders(files, tmp_path_factory) -> tuple[list[Path], list[Path]]:
    root = tmp_path_factory.mktemp("features")
    ids = np.arange(0, 150)
    pool = language_scores.pool_examples(files / "pool" / "manifest.json", ids)
    task = language_scores.task_examples(files / "task", "target")
    train, target = ([root / f"{name}{seed}" for seed in (0, 1)] for name in ("pool", "task"))
    for seed in (0, 1):
        language_scores.featurize(train[seed], files / f"run{seed}", pool, FEATURES)
        language_scores.featurize(target[seed], files / f"run{seed}", task, FEATURES)
    return train, target


def test_models_are_standardized_and_averaged(folders, tmp_path):
    train, target = folders
    language_scores.score(tmp_path / "t.parquet", train, target, {"ridge": 0.3}, tmp_path / "t.npy")
    expected = 0
    for a, b in zip(train, target, strict=True):
        phi, wanted = (np.load(f / "features.npy").astype(np.float64) for f in (a, b))
        gram = phi.T @ phi
        matrix = gram + 0.3 * np.trace(gram) / 64 * np.eye(64)
        scores = wanted @ np.linalg.solve(matrix, phi.T)
        expected = expected + scores / scores.mean(0).std(ddof=1) / 2
    single = np.load(tmp_path / "t.npy")
    assert single.shape == (7, 150)
    assert np.allclose(single, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    table = artifacts.read(tmp_path / "t.parquet", "score")
    assert np.allclose(table["score"].to_numpy(), single.mean(0), atol=1e-5)
    language_scores.score(tmp_path / "u.parquet", train, target, {"ridge": 0.3})
    again = artifacts.read(tmp_path / "u.parquet", "score")
    assert np.allclose(again["score"].to_numpy(), table["score"].to_numpy(), atol=1e-5)


def test_the_manifest_of_scores_names_their_split(folders, tmp_path):
    train, target = folders
    language_scores.score(tmp_path / "t.parquet", train[:1], target[:1], {"ridge": 0.3})
    facts = artifacts.read_json(tmp_path / "t.json")
    assert facts["split"] == "target"
    assert facts["models"] == 1
    assert facts["examples"] == list(range(100, 107))


def test_features_of_different_models_never_meet(folders, tmp_path):
    train, target = folders
    with pytest.raises(ValueError, match="different models"):
        language_scores.score(tmp_path / "t.parquet", train[:1], target[1:], {"ridge": 0.3})


def test_training_on_what_scores_high_lowers_the_loss():
    """One gradient step of logistic regression on the best-scored examples, and on the worst."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(200, 5)), rng.choice([-1.0, 1.0], 200)
    signed = x * labels[:, None]
    target = signed[:10]
    scores = language_scores.trak(
        features_of(signed[10:]), torch.from_numpy(target).mean(0)[None], 0.3
    )
    order = np.argsort(scores[0].numpy())

    def loss(weights: np.ndarray) -> float:
        return np.log1p(np.exp(-target @ weights)).mean()

    best, worst = (0.1 * signed[10:][rows].mean(0) for rows in (order[-20:], order[:20]))
    assert loss(best) < loss(np.zeros(5)) < loss(worst)
