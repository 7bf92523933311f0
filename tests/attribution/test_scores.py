from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from support import tf32
from support.language_runs import write_pool, write_run, write_task

from proxyscale.attribution import feature_files, features, scores
from proxyscale.base import artifacts

FEATURES = {"dimension": 64, "seed": 0}


def features_of(values: np.ndarray, **facts) -> feature_files.Features:
    return feature_files.Features(np.arange(len(values), dtype=np.uint32), values, facts)


def test_scores_are_the_closed_form_on_a_logistic_model(monkeypatch):
    monkeypatch.setattr(feature_files, "ROWS", 17)
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(80, 6)), rng.choice([-1.0, 1.0], 80)
    weights = torch.tensor(rng.normal(size=6), requires_grad=True)

    def gradient(row: int) -> np.ndarray:
        p = torch.sigmoid(labels[row] * (torch.from_numpy(x[row]) @ weights))
        return torch.autograd.grad(torch.log(p / (1 - p)), weights)[0].numpy()

    phi = np.stack([gradient(row) for row in range(80)])
    train, test = phi[:70], phi[70:]
    found = scores.trak(features_of(train), torch.from_numpy(test), ridge=0.3).numpy()
    signed = x * labels[:, None]
    covariance = signed[:70].T @ signed[:70]
    penalty = 0.3 * np.linalg.eigvalsh(covariance).mean()
    inverse = np.linalg.inv(covariance + penalty * np.eye(6))
    assert np.allclose(found, signed[70:] @ inverse @ signed[:70].T, rtol=1e-10, atol=1e-13)


def test_fewer_examples_than_dimensions_equal_the_dual_form():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(9, 30)), rng.normal(size=(4, 30))
    found = scores.trak(features_of(train), torch.from_numpy(test), ridge=0.3).numpy()
    kernel = train @ train.T
    penalty = 0.3 * np.linalg.eigvalsh(kernel).mean() * np.eye(9)
    assert np.allclose(found, test @ train.T @ np.linalg.inv(kernel + penalty))


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[list[Path], list[Path]]:
    root = tmp_path_factory.mktemp("features")
    manifest = write_pool(root)
    pool = features.pool_examples(manifest, np.arange(0, 150))
    task = features.task_examples(write_task(root / "task", manifest), "target")
    train, target = ([root / f"of-{name}{seed}" for seed in (0, 1)] for name in ("pool", "task"))
    for seed in (0, 1):
        run = write_run(root / f"run{seed}", seed)
        features.featurize(train[seed], run, pool, FEATURES)
        features.featurize(target[seed], run, task, FEATURES)
    return train, target


def test_models_are_standardized_and_averaged(folders, tmp_path):
    train, target = folders
    scores.score(tmp_path / "t.parquet", train, target, {"ridge": 0.3}, tmp_path / "t.npy")
    expected = 0
    for a, b in zip(train, target, strict=True):
        phi, wanted = (np.load(f / "features.npy").astype(np.float64) for f in (a, b))
        gram = phi.T @ phi
        matrix = gram + 0.3 * np.trace(gram) / 64 * np.eye(64)
        one = wanted @ np.linalg.solve(matrix, phi.T)
        expected = expected + one / one.mean(0).std(ddof=1) / 2
    single = np.load(tmp_path / "t.npy")
    assert single.shape == (7, 150)
    assert np.allclose(single, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    table = artifacts.read(tmp_path / "t.parquet", "score")
    assert np.allclose(table["score"].to_numpy(), single.mean(0), atol=1e-5)
    scores.score(tmp_path / "u.parquet", train, target, {"ridge": 0.3})
    again = artifacts.read(tmp_path / "u.parquet", "score")
    assert np.allclose(again["score"].to_numpy(), table["score"].to_numpy(), atol=1e-5)


def test_the_manifest_of_scores_names_their_split(folders, tmp_path):
    train, target = folders
    scores.score(tmp_path / "t.parquet", train[:1], target[:1], {"ridge": 0.3})
    facts = artifacts.read_json(tmp_path / "t.json")
    assert facts["split"] == "target"
    assert facts["models"] == 1
    assert facts["examples"] == list(range(100, 107))


def test_features_of_different_models_never_meet(folders, tmp_path):
    train, target = folders
    with pytest.raises(ValueError, match="different models"):
        scores.score(tmp_path / "t.parquet", train[:1], target[1:], {"ridge": 0.3})


def test_training_on_what_scores_high_lowers_the_loss():
    """One gradient step of logistic regression on the best-scored examples, and on the worst."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(200, 5)), rng.choice([-1.0, 1.0], 200)
    signed = x * labels[:, None]
    target = signed[:10]
    found = scores.trak(features_of(signed[10:]), torch.from_numpy(target).mean(0)[None], 0.3)
    order = np.argsort(found[0].numpy())

    def loss(weights: np.ndarray) -> float:
        return np.log1p(np.exp(-target @ weights)).mean()

    best, worst = (0.1 * signed[10:][rows].mean(0) for rows in (order[-20:], order[:20]))
    assert loss(best) < loss(np.zeros(5)) < loss(worst)


def test_tf32_is_emulated_as_gpus_round():
    exact = torch.tensor([1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-11, -1 - 2**-11 - 2**-20, 3e30])
    expected = torch.tensor([1 + 2**-10, 1, 1 + 2**-9, -1 - 2**-10, 3e30])
    found = tf32.rounded(exact)
    assert torch.equal(found[:4], expected[:4])
    assert torch.allclose(found, expected, rtol=2**-11)
    assert tf32.rounded(exact.double()) is not None
    with tf32.emulated():
        assert (exact[None, :2] @ torch.ones(2, 1)).item() == 2 + 2**-10


@pytest.mark.parametrize(
    "how", [{"precision": "tf32"}, {"precision": "bf16"}, {"keep": "fp16"}, {"keep": "int8"}]
)
def test_less_precision_ranks_the_candidates_alike(tmp_path, how):
    pool = write_pool(tmp_path)
    run = write_run(tmp_path / "run", width=64)
    task = features.task_examples(write_task(tmp_path / "task", pool), "target")
    found = []
    for name, more in (("exact", {}), ("less", how)):
        folders = [tmp_path / f"{name}-{part}" for part in ("pool", "target")]
        spec = FEATURES | more
        told = spec.get("precision") == "tf32"
        with tf32.emulated() if told else contextlib.nullcontext():
            features.featurize(folders[0], run, features.pool_examples(pool, np.arange(150)), spec)
            spec.pop("keep", None)
            features.featurize(folders[1], run, task, spec)
        out = tmp_path / f"{name}.parquet"
        scores.score(out, folders[:1], folders[1:], {"ridge": 0.3})
        found.append(artifacts.read(out, "score")["score"].to_numpy())
    assert not np.array_equal(*found)
    alike = spearmanr(*found).statistic
    print(f"{how}: rank correlation of scores {alike:.5f}")
    assert alike >= 0.999
