"""Labelled images out of scikit-learn, files or the Hugging Face hub, one at a time.

An image corpus is a registered generator; `images` resizes, splits and counts what it yields.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from proxyscale.base.errors import UserError
from proxyscale.data.formats import Dropped
from proxyscale.data.records import find_files, read_files, read_hub
from proxyscale.registry import Registry

Pixels = NDArray[np.uint8]

image_corpus = Registry("image corpus")

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
CIFAR_PIXELS = 3 * 32 * 32


class Picture(NamedTuple):
    """An image, its class by name, and the name it has within its corpus.

    `image` holds pixels [H, W] or [H, W, colors] u8, or the bytes of an image file.
    """

    name: str
    image: Pixels | bytes
    label: str


@image_corpus
def digits(*, digits: bool = True) -> Iterator[Picture]:
    """scikit-learn's 1,797 handwritten digits, 8×8 grey, of Alpaydin and Kaynak (1998)."""
    from sklearn.datasets import load_digits  # it costs a CPU second

    data = load_digits()
    pixels = np.round(data.images * (255 / 16)).astype(np.uint8)
    for number, (image, label) in enumerate(zip(pixels, data.target, strict=True)):
        yield Picture(f"digits:{number}", image, str(label))


@image_corpus
def files(
    *,
    files: str | Sequence[str],
    format: str | None = None,
    image: str = "image",
    label: str = "label",
    names: Sequence[str] = (),
) -> Iterator[Picture | Dropped]:
    """Images of files: `parquet`, `npz`, `folder` (named by class), `cifar` or `mnist`.

    `format` is told by the files' names where it is not given. `image` and `label` are a parquet
    file's columns (bytes, or a struct with field `bytes`) or an npz file's arrays (u8 [n, H, W(,
    colors)], integers [n]). `cifar` is the binary version of CIFAR-10 or CIFAR-100 (fine labels);
    `mnist` the IDX files of images, beside which those of labels lie, perhaps gzipped. `names` are
    the classes' names by number.
    """
    for name, path in find_files(files).items():
        word = format or _format(path)
        if word not in FORMATS:
            raise UserError(f"unknown format {word!r}", where="format", value=word, allowed=FORMATS)
        for picture in FORMATS[word](name, path, image, label):
            yield _named(picture, names)


@image_corpus
def hub(
    *,
    hub: str,
    revision: str,
    config: str | None = None,
    split: str = "train",
    image: str = "image",
    label: str = "label",
    names: Sequence[str] = (),
    streaming: bool = True,
) -> Iterator[Picture | Dropped]:
    """Images of a dataset on the Hugging Face hub, at a pinned commit."""
    records = read_hub(hub, revision, config, split, streaming)
    for picture in _pictures(records, image, label):
        yield _named(picture, names)


def _named(picture: Picture | Dropped, names: Sequence[str]) -> Picture | Dropped:
    if isinstance(picture, Dropped) or not names:
        return picture
    if not picture.label.isdecimal() or int(picture.label) >= len(names):
        message = f"class {picture.label} has no name among the {len(names)} given"
        raise UserError(message, where="names")
    return picture._replace(label=str(names[int(picture.label)]))


def _format(path: Path) -> str:
    if "idx3" in path.name:
        return "mnist"
    if path.suffix.lower() in SUFFIXES:
        return "folder"
    known = {".parquet": "parquet", ".npz": "npz", ".bin": "cifar"}
    if path.suffix not in known:
        hint = "say format:, or convert it; pickles are never read (CIFAR has a binary version)"
        message = f"{path.name}: no images that can be read"
        raise UserError(message, where="files", value=path.suffix, allowed=[*known], hint=hint)
    return known[path.suffix]


def _no_column(name: str, where: str, names: Iterable[str]) -> UserError:
    return UserError(f"has no column {name!r}", where=where, value=name, allowed=names)


def _parquet(name: str, path: Path, image: str, label: str) -> Iterator[Picture | Dropped]:
    for picture in _pictures(read_files(str(path), "parquet"), image, label):
        yield picture._replace(name=f"{name}:{picture.name.rpartition(':')[2]}")


def _pictures(records: Iterable[Any], image: str, label: str) -> Iterator[Picture | Dropped]:
    for record in records:
        if isinstance(record, Dropped):
            yield record
            continue
        for column in (image, label):
            if column not in record.fields:
                raise _no_column(column, record.name, record.fields)
        value = record.fields[image]
        data = value.get("bytes") if isinstance(value, dict) else value
        if isinstance(data, bytes):
            yield Picture(record.name, data, str(record.fields[label]))
        elif isinstance(data, Image.Image):  # the datasets library has decoded it
            yield Picture(record.name, np.asarray(data.convert("RGB")), str(record.fields[label]))
        else:
            yield Dropped(record.name, "no image bytes")


def _npz(name: str, path: Path, image: str, label: str) -> Iterator[Picture]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for key in (image, label):
                if key not in arrays:
                    raise _no_column(key, str(path), arrays)
            images, labels = arrays[image], arrays[label]
    except ValueError as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from None
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or labels.size != len(images):
        message = f"{image} is {images.dtype} {list(images.shape)} with {labels.size} labels"
        hint = "uint8 [n, H, W] or [n, H, W, colors], with n integer labels"
        raise UserError(message, where=str(path), hint=hint)
    for number, (pixels, value) in enumerate(zip(images, labels.ravel(), strict=True)):
        yield Picture(f"{name}:{number}", pixels, str(value))


def _folder(name: str, path: Path, image: str, label: str) -> Iterator[Picture]:
    yield Picture(name, path.read_bytes(), path.parent.name)


def _cifar(name: str, path: Path, image: str, label: str) -> Iterator[Picture]:
    """CIFAR's binary version: one label byte (CIFAR-10) or two (CIFAR-100, the fine one last)."""
    size = path.stat().st_size
    labels = [count for count in (1, 2) if size and size % (count + CIFAR_PIXELS) == 0]
    if not labels:
        raise UserError(f"{size} bytes are no whole number of CIFAR records", where=str(path))
    records = np.memmap(path, np.uint8, "r").reshape(-1, labels[0] + CIFAR_PIXELS)
    for number, record in enumerate(records):
        planes = record[labels[0] :].reshape(3, 32, 32)
        value = record[labels[0] - 1]
        yield Picture(f"{name}:{number}", planes.transpose(1, 2, 0), str(value))


def _mnist(name: str, path: Path, image: str, label: str) -> Iterator[Picture]:
    """MNIST's IDX format, as described at http://yann.lecun.com/exdb/mnist/."""
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if not beside.is_file():
        raise UserError(f"no file of labels beside it: {beside.name}", where=str(path))
    images, labels = _idx(path, 3), _idx(beside, 1)
    if len(images) != len(labels):
        raise UserError(f"{len(images)} images have {len(labels)} labels", where=str(path))
    for number, (pixels, value) in enumerate(zip(images, labels, strict=True)):
        yield Picture(f"{name}:{number}", pixels, str(value))


def _idx(path: Path, dimensions: int) -> Pixels:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from None
    start = 4 + 4 * dimensions
    shape = np.frombuffer(data[4:start], ">u4")
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) != start + shape.prod():
        raise UserError(f"no IDX file of {dimensions}-dimensional bytes", where=str(path))
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


FORMATS: dict[str, Callable[[str, Path, str, str], Iterator[Any]]] = {
    "parquet": _parquet,
    "npz": _npz,
    "folder": _folder,
    "cifar": _cifar,
    "mnist": _mnist,
}


def decode(image: Pixels | bytes, size: int | None, colors: int | None) -> Pixels:
    """Pixels [H, W, colors] u8: averaged to a square of `size` after cutting the longer side.

    Without `size` or `colors` (1 or 3) the image's own. ValueError if the bytes are no image.
    """
    try:
        source = io.BytesIO(image) if isinstance(image, bytes) else None
        picture = Image.open(source) if source else Image.fromarray(np.squeeze(image))
        mode = {1: "L", 3: "RGB", None: "L" if picture.mode in ("1", "L", "I", "I;16") else "RGB"}
        picture = picture.convert(mode[colors])
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"not an image: {error}") from None
    if size and picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BOX)
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
