"""Labelled images out of files of every format that is read, one at a time, in bounded memory.

An image or a label that cannot be used comes out as `Dropped`, with its name and the reason.
"""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa

from proxyscale.base.errors import UserError
from proxyscale.data.formats import FORMATS as TEXT_FORMATS
from proxyscale.data.formats import Layout
from proxyscale.data.raw_record import Dropped, Record, printable
from proxyscale.data.records import files_below, find_files, listed
from proxyscale.vision.decoding import LARGEST, Pixels

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
BY_SUFFIX = {".parquet": "parquet", ".npz": "npz", ".bin": "cifar"}
LABEL_BYTES = 1 << 16  # of one label in an array
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
CIFAR_PIXELS = 3 * 32 * 32


class Picture(NamedTuple):
    """An image, its class by name, and the name it has within its corpus.

    `image` holds pixels [H, W] or [H, W, colors] u8, the bytes of an image file, or its path.
    """

    name: str
    image: Pixels | bytes | Path
    label: str


class Columns(NamedTuple):
    """Where a file's records hold their image and their label."""

    image: str
    label: str


def read_images(
    patterns: str | Sequence[str], format: str | None, columns: Columns
) -> Iterator[Picture | Dropped]:
    """The pictures of files and folders; UserError for what matches nothing or is of no format."""
    folders = {pattern: below for pattern in listed(patterns) if (below := files_below(pattern))}
    for below in folders.values():
        yield from _class_folders(below)
    others = [pattern for pattern in listed(patterns) if pattern not in folders]
    for name, path in (find_files(others) if others else {}).items():
        word = format or format_of(path)
        if word not in FORMATS:
            raise UserError(f"unknown format {word!r}", where="format", value=word, allowed=FORMATS)
        try:
            yield from FORMATS[word](name, path, columns)
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise UserError(f"cannot be read: {error}", where=str(path)) from None


def _class_folders(files: Mapping[str, Path]) -> Iterator[Picture | Dropped]:
    """A folder whose sub-folders are the classes, however deep their images lie."""
    for name, path in files.items():
        label, _, rest = name.partition("/")
        if path.suffix.lower() not in SUFFIXES:
            yield Dropped(name, "no image by its suffix")
        elif not rest:
            yield Dropped(name, "in no class's folder")
        else:
            yield Picture(name, path, printable(label))


def format_of(path: Path) -> str:
    """The format of a file by its name. UserError if it is none that is read."""
    suffix = path.suffix.lower()
    if "idx3" in path.name.lower():
        return "mnist"
    if suffix in SUFFIXES:
        return "folder"
    if suffix not in BY_SUFFIX:
        hint = "say format:, or convert it; pickles are never read (CIFAR has a binary version)"
        message, allowed = f"{path.name}: no images that can be read", [*BY_SUFFIX]
        raise UserError(message, where="files", value=path.suffix, allowed=allowed, hint=hint)
    return BY_SUFFIX[suffix]


def class_name(value: Any) -> str | None:
    """The class that a label names: text, or a whole number. None if it names none.

    Whole numbers may be stored as floats, as they are in columns with gaps.
    """
    if isinstance(value, str):
        return printable(value.strip()) or None
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if math.isfinite(value) and value == int(value) else None
    return str(int(value)) if isinstance(value, (int, np.integer)) else None


def _no_column(name: str, where: str, names: Iterable[str]) -> UserError:
    return UserError(f"has no column {name!r}", where=where, value=name, allowed=names)


def _parquet(name: str, path: Path, columns: Columns) -> Iterator[Picture | Dropped]:
    return pictures(TEXT_FORMATS["parquet"](name, path, Layout()), columns)


def pictures(records: Iterable[Record | Dropped], columns: Columns) -> Iterator[Picture | Dropped]:
    """The pictures of records. UserError if one has no such columns."""
    for record in records:
        if isinstance(record, Dropped):
            yield record
            continue
        for column in columns:
            if column not in record.fields:
                raise _no_column(column, record.name, record.fields)
        value, label = record.fields[columns.image], class_name(record.fields[columns.label])
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            yield Dropped(record.name, "no image bytes", broken=True)
        elif label is None:
            reason = _no_class(record.fields[columns.label])
            yield Dropped(record.name, reason, broken=True)
        else:
            yield Picture(record.name, data, label)


def _no_class(value: Any) -> str:
    """Why a label names no class."""
    if value is None or value != value:
        return "no label"
    if isinstance(value, str):
        return "empty label"
    return f"a label that is no class: {type(value).__name__}"


def _npz(name: str, path: Path, columns: Columns) -> Iterator[Picture | Dropped]:
    """Rows of two arrays, in step, without ever holding either."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")}
            for key in columns:
                if key not in members:
                    raise _no_column(key, str(path), sorted(members))
            files = [archive.open(f"{key}.npy") for key in columns]
            (shape, kind), (counted, label_kind) = map(_array_header, files)
            _check_arrays(path, columns.image, shape, kind, counted, label_kind)
            label_size = math.prod(counted[1:])
            for number in range(shape[0]):
                pixels = _row(files[0], shape[1:], kind)
                value = _row(files[1], (label_size,), label_kind)[0]
                yield _numbered(f"{name}:{number}", pixels, value)
    except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from None


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of a .npy file; ValueError for what is none, or is a pickle."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the format .npy")
    try:
        shape, fortran, kind = HEADERS[version](file)
    except Exception:  # numpy parses Python, and raises what its tokenizer and compiler raise
        raise ValueError("an array without a header") from None
    if kind.hasobject:
        raise ValueError("its arrays are pickles, which are never read")
    if fortran and len(shape) > 1:
        raise ValueError("its arrays are in Fortran's order")
    return shape, kind


def _check_arrays(
    path: Path,
    image: str,
    shape: tuple[int, ...],
    kind: np.dtype[Any],
    counted: tuple[int, ...],
    label_kind: np.dtype[Any],
) -> None:
    """UserError unless they are n images and n labels."""
    labels = math.prod(counted)
    plain = kind == np.uint8 and len(shape) in (3, 4) and label_kind.kind in "iufU"
    whole = min(shape, default=-1) >= 0 and label_kind.itemsize <= LABEL_BYTES
    if not (plain and whole) or labels != shape[0] or counted[:1] != shape[:1]:
        message = f"{image} is {kind} {list(shape)} with {labels} labels of {label_kind}"
        hint = "uint8 [n, H, W] or [n, H, W, colors], with n labels: integers or text"
        raise UserError(message, where=str(path), hint=hint)
    if math.prod(shape[1:]) > 4 * LARGEST:
        raise UserError(f"images of {list(shape[1:])} pixels", where=str(path))


def _row(file: IO[bytes], shape: tuple[int, ...], kind: np.dtype[Any]) -> np.ndarray[Any, Any]:
    size = math.prod(shape) * kind.itemsize
    data = file.read(size)
    if len(data) < size:
        raise ValueError("it ends before its arrays do")
    return np.frombuffer(data, kind).reshape(shape)


def _numbered(name: str, pixels: Pixels, value: Any) -> Picture | Dropped:
    label = class_name(str(value) if isinstance(value, np.str_) else value)
    if label is None:
        return Dropped(name, _no_class(value), broken=True)
    return Picture(name, pixels, label)


def _folder(name: str, path: Path, columns: Columns) -> Iterator[Picture]:
    yield Picture(name, path, printable(path.parent.name))


def _cifar(name: str, path: Path, columns: Columns) -> Iterator[Picture]:
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


def _mnist(name: str, path: Path, columns: Columns) -> Iterator[Picture]:
    """MNIST's IDX format, as described at http://yann.lecun.com/exdb/mnist/."""
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if not beside.is_file():
        raise UserError(f"no file of labels beside it: {beside.name}", where=str(path))
    with _uncompressed(path) as images, _uncompressed(beside) as labels:
        count, height, width = _idx_header(images, path, 3)
        (labelled,) = _idx_header(labels, beside, 1)
        if count != labelled:
            raise UserError(f"{count} images have {labelled} labels", where=str(path))
        if height * width > LARGEST:
            raise UserError(f"images of {height} × {width} pixels", where=str(path))
        for number in range(count):
            pixels = np.frombuffer(_exactly(images, height * width, path), np.uint8)
            value = _exactly(labels, 1, beside)[0]
            yield Picture(f"{name}:{number}", pixels.reshape(height, width), str(value))
        for file, where in ((images, path), (labels, beside)):
            if file.read(1):
                raise UserError("is longer than its header says", where=str(where))


def _uncompressed(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _idx_header(file: gzip.GzipFile | IO[bytes], path: Path, dimensions: int) -> tuple[int, ...]:
    """The shape of an IDX file of bytes. UserError if it is none of so many dimensions."""
    magic = file.read(4)
    if magic != bytes([0, 0, 8, dimensions]):
        raise UserError(f"no IDX file of {dimensions}-dimensional bytes", where=str(path))
    shape = np.frombuffer(_exactly(file, 4 * dimensions, path), ">u4")
    return tuple(map(int, shape))


def _exactly(file: gzip.GzipFile | IO[bytes], size: int, path: Path) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise UserError("ends before its header says", where=str(path))
    return data


FORMATS: dict[str, Callable[[str, Path, Columns], Iterator[Picture | Dropped]]] = {
    "parquet": _parquet,
    "npz": _npz,
    "folder": _folder,
    "cifar": _cifar,
    "mnist": _mnist,
}
