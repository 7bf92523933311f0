"""Arrays as .npy files: written whole, or row by row without knowing how many there will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from proxyscale.base import artifacts, seals


def write(path: Path, values: NDArray[Any]) -> Path:
    """Write an array under a temporary name and rename it. Returns the path."""
    with artifacts.atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)
    return path


def read(path: Path, mode: Literal["r", "c"] | None = None) -> NDArray[Any]:
    """An array that was written here, in memory or (`mode` as numpy's) mapped.

    UserError if it is missing or damaged.
    """
    values: NDArray[Any] = np.load(seals.verified(path), mmap_mode=mode)
    return values


def write_header(file: BinaryIO, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """The header of a .npy file, at its start, where the file is then left.

    It can be written again once the number of rows is known: numpy leaves room for it to grow.
    """
    file.seek(0)
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    facts = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)


def skip_header(file: BinaryIO) -> None:
    """Leave a .npy file at its first row."""
    file.seek(0)
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
