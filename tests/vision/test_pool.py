"""Image corpora, pools and test sets."""

from __future__ import annotations

import gzip
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
from proxyscale.data.formats import Dropped
from proxyscale.vision.corpora import Picture, decode, image_corpus
from proxyscale.vision.pool import Images, build_image_pool, build_image_task, build_images

RNG = np.random.default_rng(0)
COLORED = RNG.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 9], np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def read(path: Path | str, **options: Any) -> list[Picture]:
    found = list(image_corpus["files"](files=str(path), **options))
    assert all(isinstance(picture, Picture) for picture in found)
    return found


def check(found: list[Picture], images: np.ndarray) -> None:
    assert [picture.label for picture in found] == [str(label) for label in LABELS]
    for picture, pixels in zip(found, images, strict=True):
        np.testing.assert_array_equal(decode(picture.image, None, None).squeeze(), pixels)


@pytest.mark.parametrize("struct", [True, False])
def test_parquet(tmp_path: Path, struct: bool) -> None:
    data = [png(pixels) for pixels in COLORED]
    column = [{"bytes": each, "path": "x.png"} for each in data] if struct else data
    pq.write_table(pa.table({"image": column, "label": LABELS}), tmp_path / "a.parquet")
    check(read(tmp_path / "a.parquet"), COLORED)


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=GREY, y=LABELS[:, None])
    check(read(tmp_path / "a.npz", image="x", label="y"), GREY)
    with pytest.raises(UserError, match="no column 'image'"):
        read(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", image=GREY / 255, label=LABELS)
    with pytest.raises(UserError, match="float64"):
        read(tmp_path / "b.npz")


def test_npz_is_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.array([{}] * 6), label=LABELS)
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "a.npz")


def test_folders(tmp_path: Path) -> None:
    for name, pixels in zip(("cat", "dog"), COLORED[:2], strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(png(pixels))
    found = {picture.label: picture for picture in read(tmp_path / "*/*.png")}
    np.testing.assert_array_equal(decode(found["dog"].image, None, None), COLORED[1])
    assert set(found) == {"cat", "dog"}


@pytest.mark.parametrize("coarse", [False, True])
def test_cifar(tmp_path: Path, coarse: bool) -> None:
    planes = COLORED.transpose(0, 3, 1, 2).reshape(6, -1)
    heads = [np.full((6, 1), 7, np.uint8)] if coarse else []
    records = np.hstack([*heads, LABELS[:, None], planes])
    (tmp_path / "data_batch_1.bin").write_bytes(records.tobytes())
    check(read(tmp_path / "*.bin"), COLORED)
    (tmp_path / "data_batch_1.bin").write_bytes(records.tobytes()[:-1])
    with pytest.raises(UserError, match="no whole number"):
        read(tmp_path / "*.bin")


@pytest.mark.parametrize("zipped", [False, True])
def test_mnist(tmp_path: Path, zipped: bool) -> None:
    def write(name: str, values: np.ndarray) -> None:
        shape = np.array(values.shape, ">u4").tobytes()
        data = bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()
        target = tmp_path / (f"{name}.gz" if zipped else name)
        target.write_bytes(gzip.compress(data) if zipped else data)

    write("train-images-idx3-ubyte", GREY)
    with pytest.raises(UserError, match="no file of labels"):
        read(tmp_path / "*idx3*")
    write("train-labels-idx1-ubyte", LABELS)
    check(read(tmp_path / "*idx3*"), GREY)
    write("train-labels-idx1-ubyte", LABELS[1:])
    with pytest.raises(UserError, match="6 images have 5 labels"):
        read(tmp_path / "*idx3*")


def test_pickles_are_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04N.")
    with pytest.raises(UserError, match="pickles are never read"):
        read(tmp_path / "data_batch_1")


def test_names_of_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=GREY[:2], label=LABELS[:2])
    assert [p.label for p in read(tmp_path / "a.npz", names=["cat", "dog"])] == ["cat", "dog"]
    with pytest.raises(UserError, match="has no name"):
        read(tmp_path / "a.npz", names=["cat"])


def test_averaging_to_a_smaller_square() -> None:
    small = decode(COLORED[0], 16, None)
    means = COLORED[0].astype(float).reshape(16, 2, 16, 2, 3).mean((1, 3))
    assert np.abs(small - means).max() <= 1
    assert decode(COLORED[0][:, :20], 16, 1).shape == (16, 16, 1)
    with pytest.raises(ValueError, match="not an image"):
        decode(b"no image", None, None)


def test_the_hub_needs_a_pinned_revision() -> None:
    with pytest.raises(UserError, match="pinned"):
        list(image_corpus["hub"](hub="cifar10", revision="main"))


CORPUS = {"kind": "digits", "options": {}, "images": 400, "holdout": 0.3, "target": 0.1, "seed": 0}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    build_images(folder, "digits", CORPUS)
    return folder


def test_a_corpus_is_what_scikit_learn_has(corpus: Path) -> None:
    from sklearn.datasets import load_digits

    data, pixels = load_digits(), np.load(corpus / "inputs.npy")
    index = artifacts.read(corpus / "index.parquet", "image_index")
    assert pixels.shape == (400, 8, 8, 1)
    np.testing.assert_allclose(pixels[..., 0] / 255 * 16, data.images[:400], atol=0.04)
    np.testing.assert_array_equal(index["label"].to_numpy(), data.target[:400])
    shares = index["split"].to_pandas().value_counts(normalize=True)
    assert shares["holdout"] == pytest.approx(0.3, abs=0.07)


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


def test_duplicates_and_classes_in_their_own_order(tmp_path: Path) -> None:
    spec = write_npz(tmp_path / "a.npz", np.concatenate([GREY[:3], GREY[:1]]), [10, 2, 0, 10])
    build_images(tmp_path / "corpus", "a", spec)
    facts = json.loads((tmp_path / "corpus/manifest.json").read_text())
    assert facts["dropped"] == {"duplicate": 1}
    assert facts["classes"] == ["0", "2", "10"]
    index = artifacts.read(tmp_path / "corpus/index.parquet", "image_index")
    assert index["label"].to_pylist() == [2, 1, 0]


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


def test_what_a_reader_drops_is_counted(tmp_path: Path) -> None:
    found = list(image_corpus["files"](files=write_rows(tmp_path)))
    assert found == [Dropped("a.parquet:1", "no image bytes")]


def write_rows(folder: Path) -> str:
    pq.write_table(
        pa.table({"image": pa.nulls(1, pa.binary()), "label": [0]}), folder / "a.parquet"
    )
    return str(folder / "a.parquet")


def test_the_shared_cifar_images(data: Path, tmp_path: Path) -> None:
    files = str(data / "vision/cifar10_jpg/test.parquet")
    spec = {"kind": "files", "options": {"files": files}, "size": 16, "images": 50}
    build_images(tmp_path, "cifar", spec)
    assert np.load(tmp_path / "inputs.npy").shape == (50, 16, 16, 3)
