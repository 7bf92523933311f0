"""Every format of image files: read right, or refused in one line."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from proxyscale.base.errors import UserError
from proxyscale.data.raw_record import Dropped
from proxyscale.vision.corpora import build_images, image_corpus
from proxyscale.vision.decoding import decode
from proxyscale.vision.readers import Columns, Picture, class_name, read_images

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


def test_the_hub_needs_a_pinned_revision() -> None:
    with pytest.raises(UserError, match="pinned"):
        list(image_corpus["hub"](hub="cifar10", revision="main"))


def test_what_a_reader_drops_is_counted(tmp_path: Path) -> None:
    found = list(image_corpus["files"](files=write_rows(tmp_path)))
    assert found == [Dropped("a.parquet:1", "no image bytes", broken=True)]


def write_rows(folder: Path) -> str:
    pq.write_table(
        pa.table({"image": pa.nulls(1, pa.binary()), "label": [0]}), folder / "a.parquet"
    )
    return str(folder / "a.parquet")


def test_a_folder_has_a_class_for_each_of_its_folders(tmp_path: Path) -> None:
    names = ["cat/a.png", "cat/old/b.PNG", "dog/a.png", "a.png", "dog/notes.txt"]
    for name, pixels in zip(names, COLORED, strict=False):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png(pixels))
    found = {item.name: item for item in image_corpus["files"](files=str(tmp_path))}
    labels = {n: found[n].label for n in names if isinstance(found[n], Picture)}
    assert labels == {"cat/a.png": "cat", "cat/old/b.PNG": "cat", "dog/a.png": "dog"}
    assert found["a.png"] == Dropped("a.png", "in no class's folder")
    assert found["dog/notes.txt"] == Dropped("dog/notes.txt", "no image by its suffix")
    np.testing.assert_array_equal(decode(found["cat/old/b.PNG"].image, None, None), COLORED[1])


@pytest.mark.parametrize("folder", ["a{b}", "~", "$HOME", "-x", "[ab]", "a b"])
def test_any_folder_may_be_named(tmp_path: Path, folder: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder / "cat").mkdir(parents=True)
    (tmp_path / folder / "cat" / "a.png").write_bytes(png(COLORED[0]))
    table = pa.table({"image": [png(COLORED[1])], "label": [3]})
    pq.write_table(table, tmp_path / folder / "a.parquet")
    found = list(image_corpus["files"](files=folder))
    assert [p.label for p in found if isinstance(p, Picture)] == ["cat"]
    assert [p.name for p in found if isinstance(p, Dropped)] == ["a.parquet"]
    assert [p.label for p in read(f"{folder}/cat/a.png")] == ["cat"]
    assert [p.label for p in read(f"{folder}/a.parquet")] == ["3"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"cat"):
        folder = os.path.join(os.fsencode(tmp_path), b"in", name)
        os.makedirs(folder)
        for file, data in ((b"\xff.png", png(COLORED[len(name) % 2])), (b"\xfe.png", b"broken")):
            with open(os.path.join(folder, file), "wb") as out:
                out.write(data)
    spec = {"kind": "files", "options": {"files": str(tmp_path / "in")}}
    build_images(tmp_path / "out", "a", spec)
    facts = json.loads((tmp_path / "out/manifest.json").read_text())
    assert sorted(facts["classes"]) == ["caf\\xe9", "cat"]
    assert sorted(facts["dropped_first"]["not an image"]) == ["caf\\xe9/\\xfe.png", "cat/\\xfe.png"]


LABELLED: list[tuple[Any, str | None]] = [
    (3, "3"),
    (np.int64(-1), "-1"),
    (2.0, "2"),
    (" cat ", "cat"),
    ("None", "None"),
    (1.5, None),
    (float("nan"), None),
    (float("inf"), None),
    (None, None),
    ("", None),
    (" ", None),
    ([1], None),
    ({"a": 1}, None),
    (True, None),
    (b"cat", None),
]


@pytest.mark.parametrize(("value", "name"), LABELLED, ids=repr)
def test_what_names_a_class(value: Any, name: str | None) -> None:
    assert class_name(value) == name


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | st.integers(0, 3) | st.sampled_from(["", "a", " b"]), min_size=1))
def test_no_record_is_lost(tmp_path_factory: pytest.TempPathFactory, labels: list[Any]) -> None:
    """Read = kept + dropped, whatever the labels are; the classes are those given."""
    folder = tmp_path_factory.mktemp("labels")
    whole = [label for label in labels if label is None or isinstance(label, int)]
    texts = [label for label in labels if label is None or isinstance(label, str)]
    for values in filter(None, (whole, texts)):
        images = [png(np.full((2, 2), place, np.uint8)) for place in range(len(values))]
        pq.write_table(pa.table({"image": images, "label": values}), folder / "a.parquet")
        found = list(image_corpus["files"](files=str(folder / "a.parquet")))
        assert len(found) == len(values)
        for item, value in zip(found, values, strict=True):
            usable = value is not None and str(value).strip()
            assert isinstance(item, Picture) == bool(usable)
            if isinstance(item, Picture):
                assert item.label == str(value).strip()


def sound_files(folder: Path) -> dict[str, bytes]:
    """A small sound file of every format, by name."""
    np.savez(folder / "a.npz", image=GREY, label=LABELS)
    np.savez_compressed(folder / "b.npz", image=COLORED, label=LABELS.astype(str))
    pq.write_table(
        pa.table({"image": [png(p) for p in GREY], "label": LABELS}), folder / "a.parquet"
    )
    header = {n: np.array([6, 28, 28][:n], ">u4").tobytes() for n in (1, 3)}
    idx = bytes([0, 0, 8, 3]) + header[3] + GREY.tobytes()
    labels = bytes([0, 0, 8, 1]) + header[1] + LABELS.tobytes()
    planes = COLORED.transpose(0, 3, 1, 2).reshape(6, -1)
    files = {name: (folder / name).read_bytes() for name in ("a.npz", "b.npz", "a.parquet")}
    return files | {
        "a-images-idx3-ubyte": idx,
        "a-labels-idx1-ubyte": labels,
        "b-images-idx3-ubyte.gz": gzip.compress(idx),
        "b-labels-idx1-ubyte.gz": gzip.compress(labels),
        "a.bin": np.hstack([LABELS[:, None], planes]).tobytes(),
        "c.png": png(COLORED[0]),
    }


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return sound_files(tmp_path_factory.mktemp("sound"))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_broken_files_are_counted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, sound: dict[str, bytes], data: st.DataObject
) -> None:
    """Cut, overwritten or lengthened anywhere: a count or one line, never another error."""
    folder = tmp_path_factory.mktemp("broken")
    for name, content in sound.items():
        (folder / name).write_bytes(content)
    name = data.draw(st.sampled_from(sorted(sound)))
    content = bytearray(sound[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content), 400)) | st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    (folder / name).write_bytes(content[:end])
    asked = name.replace("labels", "images").replace("idx1", "idx3")
    with contextlib.suppress(UserError):
        for item in read_images(str(folder / asked), None, Columns("image", "label")):
            if isinstance(item, Picture):
                with contextlib.suppress(ValueError):
                    decode(item.image, 4, None)


def test_arrays_are_read_row_by_row(tmp_path: Path) -> None:
    """A row that would not fit is refused by its header; a wrong promise is told."""
    np.savez_compressed(tmp_path / "a.npz", image=np.zeros((1, 1), np.uint8), label=[0])
    with pytest.raises(UserError, match=r"image is uint8 \[1, 1\]"):
        read(tmp_path / "a.npz")
    header = bytes([0, 0, 8, 3]) + np.array([1, 60_000, 60_000], ">u4").tobytes()
    (tmp_path / "a-images-idx3-ubyte").write_bytes(header)
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 5]))
    with pytest.raises(UserError, match="60000 × 60000 pixels"):
        read(tmp_path / "a-images-idx3-ubyte")


def test_patterns_that_match_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file matches"):
        read(tmp_path / "*.png")
