"""Pools and test sets of images: balanced, normalized, apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.vision.corpora import build_images
from proxyscale.vision.images import Images
from proxyscale.vision.pool import build_image_pool, build_image_task

RNG = np.random.default_rng(0)
COLORED = RNG.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 9], np.uint8)


CORPUS = {"kind": "digits", "options": {}, "images": 400, "holdout": 0.3, "target": 0.1, "seed": 0}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    build_images(folder, "digits", CORPUS)
    return folder


def test_a_pool_is_balanced_and_normalized(corpus: Path, tmp_path: Path) -> None:
    build_image_pool(tmp_path, corpus, {"examples": 100, "balanced": True, "seed": 0})
    pool = Images.open(tmp_path / "manifest.json")
    assert np.bincount(pool.labels).tolist() == [10] * 10
    values = np.asarray(pool.pixels, float)
    assert pool.mean == pytest.approx(values.mean((0, 1, 2)).tolist())
    assert pool.deviation == pytest.approx(values.std((0, 1, 2)).tolist())


def test_tests_never_meet_the_pool(corpus: Path, tmp_path: Path) -> None:
    build_image_pool(tmp_path / "pool", corpus, {"examples": None, "balanced": False, "seed": 0})
    spec = {"examples": 50, "target_examples": None, "seed": 0}
    build_image_task(tmp_path / "task", corpus, tmp_path / "pool/manifest.json", spec)
    hashes = [
        set(artifacts.read(tmp_path / name / "index.parquet", "image_index")["hash"].to_pylist())
        for name in ("pool", "task/holdout", "task/target")
    ]
    assert not hashes[0] & hashes[1]
    assert not hashes[0] & hashes[2]
    assert not hashes[1] & hashes[2]
    assert len(hashes[1]) == 50


def test_copies_of_pool_images_leave_the_test_set(corpus: Path, tmp_path: Path) -> None:
    build_image_pool(tmp_path / "pool", corpus, {"examples": None, "balanced": False, "seed": 0})
    build_images(tmp_path / "all", "test", CORPUS | {"holdout": 1.0, "target": 0.0})
    spec = {"examples": None, "target_examples": 0, "seed": 0}
    build_image_task(tmp_path / "task", tmp_path / "all", tmp_path / "pool/manifest.json", spec)
    facts = json.loads((tmp_path / "task/manifest.json").read_text())
    pool = len(Images.open(tmp_path / "pool/manifest.json"))
    assert facts["dropped"]["in the pool"] == pool
    assert facts["examples"]["holdout"] == 400 - pool


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"examples": 101, "balanced": True}, "cannot be balanced"),
        ({"examples": 240, "balanced": True}, "a class has fewer than 24"),
        ({"examples": 10_000, "balanced": False}, "are wanted"),
    ],
)
def test_pools_that_cannot_be(
    corpus: Path, tmp_path: Path, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        build_image_pool(tmp_path, corpus, spec | {"seed": 0})


def write_npz(path: Path, images: np.ndarray, labels: list[int]) -> dict[str, Any]:
    np.savez(path, image=images, label=np.array(labels))
    return {"kind": "files", "options": {"files": str(path)}}


def test_tests_take_the_pools_class_numbers(tmp_path: Path) -> None:
    known = write_npz(tmp_path / "a.npz", GREY[:3], [0, 5, 7])
    asked = write_npz(tmp_path / "b.npz", GREY[3:5], [7, 5])
    other = write_npz(tmp_path / "c.npz", GREY[5:], [8])
    build_images(tmp_path / "a", "a", known)
    build_image_pool(
        tmp_path / "pool", tmp_path / "a", {"examples": 3, "balanced": False, "seed": 0}
    )
    task = {"examples": None, "target_examples": 0, "seed": 0}
    pool = tmp_path / "pool/manifest.json"
    build_images(tmp_path / "b", "b", asked | {"holdout": 1.0})
    build_image_task(tmp_path / "task", tmp_path / "b", pool, task)
    assert Images.open(tmp_path / "task/holdout/manifest.json").labels.tolist() == [2, 1]
    build_images(tmp_path / "c", "c", other | {"holdout": 1.0})
    with pytest.raises(UserError, match="class '8'"):
        build_image_task(tmp_path / "task", tmp_path / "c", pool, task)
