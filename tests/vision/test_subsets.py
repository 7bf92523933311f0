"""Training distributions of images: what they hold and what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxyscale.base.errors import UserError
from proxyscale.vision.corpora import build_images
from proxyscale.vision.images import Images
from proxyscale.vision.pool import build_image_pool, build_image_task
from proxyscale.vision.subsets import build_subsets, read_masks

SHARES = [0.1, 0.25]
N = 40


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of 40 digits and 10 test images."""
    root = tmp_path_factory.mktemp("study")
    corpus = {"kind": "digits", "options": {}, "images": 200, "holdout": 0.3}
    build_images(root / "corpus", "digits", corpus)
    build_image_pool(root / "pool", root / "corpus", {"examples": N, "balanced": True, "seed": 0})
    task = {"examples": 10, "target_examples": 0, "seed": 0}
    build_image_task(root / "task", root / "corpus", root / "pool/manifest.json", task)
    return root


def masks(study: Path, spec: dict[str, Any], **known: Any) -> np.ndarray:
    whole = {"name": "d", "seed": 0, "shares": SHARES, "images": [3, 7]} | spec
    holdout = study / "task/holdout/manifest.json"
    build_subsets(
        study / "d.parquet", whole, study / "pool/manifest.json", holdout=holdout, **known
    )
    found, draws = read_masks([study / "d.parquet"], N)
    assert draws.tolist() == sorted(whole["draws"])
    return found


def test_everything_and_halves(study: Path) -> None:
    assert masks(study, {"method": "everything", "draws": [0]}).sum() == N
    halves = masks(study, {"method": "stratified", "draws": [4, 2], "fraction": 0.5})
    assert halves.sum(axis=1).tolist() == [N / 2, N / 2]
    labels = Images.open(study / "pool/manifest.json").labels
    assert all(halves[:, labels == name].sum() == 4 for name in range(10))
    alone = masks(study, {"method": "stratified", "draws": [4], "fraction": 0.5})
    assert np.array_equal(alone[0], halves[1])  # a subset does not depend on its ensemble


@pytest.mark.parametrize("method", ["top-influence", "most-similar"])
@pytest.mark.parametrize("ends", [1, -1])
def test_the_ends_of_a_ranking_are_left_out(study: Path, method: str, ends: int) -> None:
    values = np.random.default_rng(0).normal(size=(10, N))
    name = (
        method if ends == 1 else {"top-influence": "bottom-influence"}.get(method, "least-similar")
    )
    key = "influence" if "influence" in method else "likeness"
    found = masks(study, {"method": name, "draws": [0, 1, 2, 3]}, **{key: values})
    for draw, (image, count) in enumerate([(3, 4), (3, 10), (7, 4), (7, 10)]):
        left = np.flatnonzero(found[draw] == 0)
        assert set(left) == set(np.argsort(-ends * values[image])[:count])


def test_a_share_of_the_class_of_the_test_image_is_left_out(study: Path) -> None:
    found = masks(study, {"method": "same-class", "draws": [0, 1, 2, 3], "shares": [0.25, 0.75]})
    labels = Images.open(study / "pool/manifest.json").labels
    tests = Images.open(study / "task/holdout/manifest.json").labels
    for draw, (image, count) in enumerate([(3, 1), (3, 3), (7, 1), (7, 3)]):
        left = np.flatnonzero(found[draw] == 0)
        assert labels[left].tolist() == [tests[image]] * count


def test_random_removals_differ_from_draw_to_draw(study: Path) -> None:
    found = masks(study, {"method": "random", "draws": [0, 2]})
    assert found.sum(axis=1).tolist() == [36, 36]
    assert not np.array_equal(found[0], found[1])


def test_a_test_image_that_is_not_there(study: Path) -> None:
    with pytest.raises(UserError, match="10 test images, and none numbered 11"):
        masks(study, {"method": "same-class", "draws": [0], "images": [11]})
