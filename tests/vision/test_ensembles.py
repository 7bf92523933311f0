"""Ensembles as artifacts: what lies in them, and that nothing else matters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import cdist
from support.image_studies import ONE_CYCLE

from proxyscale.attribution import lds
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.training.batches import read_draws
from proxyscale.vision.batches import Batches
from proxyscale.vision.corpora import build_images
from proxyscale.vision.ensembles import Ensemble, train_ensemble
from proxyscale.vision.evaluate import evaluate_ensemble
from proxyscale.vision.features import features, likeness
from proxyscale.vision.images import Images
from proxyscale.vision.pool import build_image_pool, build_image_task
from proxyscale.vision.stacked_training import Stack, Trained
from proxyscale.vision.trak_scores import score_ensemble

RUNS = [(0, 0), (1, 0), (2, 5)]


def spec(stack: int) -> dict[str, Any]:
    return {
        "model": {
            "blocks": [1, 1],
            "channels": 2,
            "classes": 10,
            "colors": 1,
            "stem": "cifar",
            "parametrization": "mup",
            "base_channels": 8,
        },
        "training": {
            "epochs": 6,
            "batch": 10,
            **ONE_CYCLE,
            "augment": None,
            "checkpoints": [2],
            "precision": "fp32",
            "stack": stack,
        },
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of 60 digits, 20 tests, and a distribution whose third draw is shorter."""
    root = tmp_path_factory.mktemp("study")
    corpus = {"kind": "digits", "options": {}, "images": 300, "holdout": 0.3, "target": 0.1}
    build_images(root / "corpus", "digits", corpus)
    build_image_pool(root / "pool", root / "corpus", {"examples": 60, "balanced": True, "seed": 0})
    task = {"examples": 20, "target_examples": 5, "seed": 0}
    build_image_task(root / "task", root / "corpus", root / "pool/manifest.json", task)
    subsets = [np.arange(0, 40), np.arange(20, 60), np.arange(0, 30)]
    table = {
        "draw": np.repeat([0, 1, 2], [len(subset) for subset in subsets]),
        "example": np.concatenate(subsets),
    }
    artifacts.write(root / "d.parquet", pa.table(table), "distribution")
    return root


@pytest.fixture(scope="module")
def ensemble(study: Path) -> Path:
    train_ensemble(
        study / "ensemble", spec(2), study / "pool/manifest.json", study / "d.parquet", RUNS, "test"
    )
    return study / "ensemble"


def losses(study: Path, ensemble: Path, name: str) -> pa.Table:
    evaluate_ensemble(study / name, ensemble, {"t": study / "task"}, scale="s", distribution="d")
    return artifacts.read(study / name / "t.parquet", "losses")


def test_what_an_ensemble_holds(ensemble: Path) -> None:
    opened = Ensemble(ensemble)
    assert opened.runs == RUNS
    assert opened.epochs == [2, 6]
    facts = json.loads((ensemble / "manifest.json").read_text())["runs"]
    assert [fact["examples"] for fact in facts] == [40, 40, 30]
    assert [fact["seen"] for fact in facts] == [240, 240, 180]
    assert len(artifacts.read(ensemble / "curve.parquet", "curve")) == 24


def test_losses_are_one_row_a_run_and_example(study: Path, ensemble: Path) -> None:
    table = losses(study, ensemble, "losses")
    keys = zip(*(table[name].to_pylist() for name in ("draw", "seed", "example")), strict=True)
    assert sorted(keys) == sorted((*run, example) for run in RUNS for example in range(20))
    probability = np.exp(-table["loss"].to_numpy())
    odds = np.log(probability / (1 - probability))
    np.testing.assert_allclose(table["margin"].to_numpy(), odds, rtol=1e-3, atol=1e-3)
    right = table["correct"].to_numpy(zero_copy_only=False)
    assert right[table["margin"].to_numpy() > 0].all()


def test_neither_company_nor_place_matters(study: Path, ensemble: Path) -> None:
    """A run alone in an ensemble, or in another order and stack, is the same run."""
    before = losses(study, ensemble, "losses").sort_by(
        [("draw", "ascending"), ("example", "ascending")]
    )
    other, pool = study / "other", study / "pool/manifest.json"
    train_ensemble(other, spec(3), pool, study / "d.parquet", RUNS[::-1], "test")
    after = losses(study, other, "others").sort_by(
        [("draw", "ascending"), ("example", "ascending")]
    )
    ours, theirs = (table["margin"].to_numpy() for table in (before, after))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_killed_ensemble_goes_on_with_the_stack_it_was_at(
    study: Path, ensemble: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    train = Stack.train

    def killed(self: Stack, title: str) -> Trained:
        if len(trained) == 1:
            trained.append("killed")
            raise KeyboardInterrupt
        trained.append(title)
        return train(self, title)

    monkeypatch.setattr(Stack, "train", killed)
    words = spec(2), study / "pool/manifest.json", study / "d.parquet", RUNS, "test"
    with pytest.raises(KeyboardInterrupt):
        train_ensemble(study / "again", *words)
    assert not (study / "again/manifest.json").exists()
    train_ensemble(study / "again", *words)
    assert len(trained) == 3  # two stacks, one of them twice
    names = sorted(path.name for path in ensemble.iterdir() if path.suffix != ".parquet")
    assert names == ["2.safetensors", "6.safetensors", "manifest.json"]
    for name in names:
        assert (study / "again" / name).read_bytes() == (ensemble / name).read_bytes()


def test_manifests_are_deterministic(study: Path, ensemble: Path) -> None:
    again = study / "again"
    train_ensemble(again, spec(2), study / "pool/manifest.json", study / "d.parquet", RUNS, "test")
    assert (again / "manifest.json").read_text() == (ensemble / "manifest.json").read_text()


def test_likeness_is_the_cosine_of_the_first_models_features(study: Path, ensemble: Path) -> None:
    pool, tests = study / "pool/manifest.json", study / "task/holdout/manifest.json"
    first = Ensemble(ensemble)
    own, others = (
        features(first.spec, first.states()[0], Batches(Images.open(path)))
        for path in (tests, pool)
    )
    found = likeness(ensemble, pool, tests)
    np.testing.assert_allclose(found, 1 - cdist(own, others, "cosine"), atol=1e-6)


def test_scores_are_written_for_each_model(study: Path, ensemble: Path) -> None:
    options = {"checkpoints": None, "projection": None, "ridge": 0.3, "seed": 0}
    pool, tasks = study / "pool/manifest.json", {"t": study / "task"}
    score_ensemble(study / "scores", ensemble, pool, tasks, options, title="test")
    scores, residuals = (np.load(study / "scores" / f"{name}.npy") for name in ("t", "residuals"))
    assert scores.shape == (3, 20, 60)
    assert residuals.shape == (3, 60)
    assert ((residuals > 0) & (residuals < 1)).all()
    train, test = (
        Images.open(study / m).labels for m in ("pool/manifest.json", "task/holdout/manifest.json")
    )
    same = lds.same_class(train, test).astype(bool)
    assert scores.mean(0)[same].mean() > scores.mean(0)[~same].mean()


def test_a_missing_draw_is_the_users_mistake(study: Path) -> None:
    with pytest.raises(UserError, match="no draw 7"):
        read_draws(study / "d.parquet", [0, 7])


def test_too_few_images_for_a_batch(study: Path) -> None:
    large = spec(2)
    large["training"]["batch"] = 1000
    pool = study / "pool/manifest.json"
    with pytest.raises(UserError, match="do not fill a batch"):
        train_ensemble(study / "large", large, pool, study / "d.parquet", RUNS, "test")
