"""Image corpora: resized, split, counted."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.vision.corpora import build_images

RNG = np.random.default_rng(0)
COLORED = RNG.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 9], np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


CORPUS = {"kind": "digits", "options": {}, "images": 400, "holdout": 0.3, "target": 0.1, "seed": 0}


def test_a_corpus_is_what_scikit_learn_has(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    corpus = tmp_path
    build_images(corpus, "digits", CORPUS)
    data, pixels = load_digits(), np.load(corpus / "inputs.npy")
    index = artifacts.read(corpus / "index.parquet", "image_index")
    assert pixels.shape == (400, 8, 8, 1)
    np.testing.assert_allclose(pixels[..., 0] / 255 * 16, data.images[:400], atol=0.04)
    np.testing.assert_array_equal(index["label"].to_numpy(), data.target[:400])
    shares = index["split"].to_pandas().value_counts(normalize=True)
    assert shares["holdout"] == pytest.approx(0.3, abs=0.07)


def write_npz(path: Path, images: np.ndarray, labels: list[int]) -> dict[str, Any]:
    np.savez(path, image=images, label=np.array(labels))
    return {"kind": "files", "options": {"files": str(path)}}


def test_duplicates_and_classes_in_their_own_order(tmp_path: Path) -> None:
    spec = write_npz(tmp_path / "a.npz", np.concatenate([GREY[:3], GREY[:1]]), [10, 2, 0, 10])
    build_images(tmp_path / "corpus", "a", spec)
    facts = json.loads((tmp_path / "corpus/manifest.json").read_text())
    assert facts["dropped"] == {"duplicate": 1}
    assert facts["classes"] == ["0", "2", "10"]
    index = artifacts.read(tmp_path / "corpus/index.parquet", "image_index")
    assert index["label"].to_pylist() == [2, 1, 0]


def test_unreadable_images_are_counted_and_sizes_must_agree(tmp_path: Path) -> None:
    data = [png(COLORED[0]), b"broken", None, png(COLORED[1][:16])]
    pq.write_table(pa.table({"image": data, "label": [0, 1, 1, 1]}), tmp_path / "a.parquet")
    spec = {"kind": "files", "options": {"files": str(tmp_path / "a.parquet")}}
    with pytest.raises(UserError, match="size:"):
        build_images(tmp_path / "corpus", "a", spec)
    build_images(tmp_path / "corpus", "a", spec | {"size": 8})
    facts = json.loads((tmp_path / "corpus/manifest.json").read_text())
    assert facts["dropped"] == {"not an image": 1, "no image bytes": 1}
    assert facts["shape"] == [8, 8, 3]


def test_the_shared_cifar_images(data: Path, tmp_path: Path) -> None:
    files = str(data / "vision/cifar10_jpg/test.parquet")
    spec = {"kind": "files", "options": {"files": files}, "size": 16, "images": 50}
    build_images(tmp_path, "cifar", spec)
    assert np.load(tmp_path / "inputs.npy").shape == (50, 16, 16, 3)


def test_every_record_is_accounted_for(tmp_path: Path) -> None:
    images = [png(COLORED[0]), png(COLORED[0]), b"broken", None, *map(png, COLORED[1:3])]
    table = pa.table({"image": images, "label": [0.0, 0.0, 1.0, 1.0, None, 0.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    spec = {"kind": "files", "options": {"files": str(tmp_path / "a.parquet")}}
    build_images(tmp_path / "corpus", "a", spec)
    facts = json.loads((tmp_path / "corpus/manifest.json").read_text())
    assert facts["read"] == 6 == sum(facts["images"].values()) + sum(facts["dropped"].values())
    assert facts["classes"] == ["0"]
    assert facts["dropped_first"] == {
        "duplicate": ["a.parquet:2"],
        "not an image": ["a.parquet:3"],
        "no image bytes": ["a.parquet:4"],
        "no label": ["a.parquet:5"],
    }


def test_more_than_half_of_the_images_broken_is_a_mistake(tmp_path: Path) -> None:
    images = [png(COLORED[0]), b"broken", b"", None]
    table = pa.table({"image": images, "label": [0, 1, 1, 1]})
    pq.write_table(table, tmp_path / "a.parquet")
    spec = {"kind": "files", "options": {"files": str(tmp_path / "a.parquet")}}
    with pytest.raises(UserError, match=r"3 of 4 images cannot be used: 2 not an image"):
        build_images(tmp_path / "corpus", "a", spec)


def test_a_source_of_nothing_tells_why(tmp_path: Path) -> None:
    table = pa.table({"image": [png(COLORED[0])], "label": pa.nulls(1, pa.int64())})
    pq.write_table(table, tmp_path / "a.parquet")
    spec = {"kind": "files", "options": {"files": str(tmp_path / "a.parquet")}}
    with pytest.raises(UserError, match=r"no usable image: 1 no label \(a.parquet:1"):
        build_images(tmp_path / "corpus", "a", spec)
