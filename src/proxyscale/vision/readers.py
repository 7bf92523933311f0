"""Labelled images out of files of every format that is read, one at a time."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from proxyscale.base.errors import UserError
from proxyscale.data.records import Dropped, read_files

Pixels = NDArray[np.uint8]

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
CIFAR_PIXELS = 3 * 32 * 32


class Picture(NamedTuple):
    """An image, its class by name, and the name it has within its corpus.

    `image` holds pixels [H, W] or [H, W, colors] u8, or the bytes of an image file.
    """

    name: str
    image: Pixels | bytes
    label: str


def format_of(path: Path) -> str:
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
    for picture in pictures(read_files(str(path), "parquet"), image, label):
        yield picture._replace(name=f"{name}:{picture.name.rpartition(':')[2]}")


def pictures(records: Iterable[Any], image: str, label: str) -> Iterator[Picture | Dropped]:
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
