"""Arrays as .npy files: written whole, or row by row without knowing how many there will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from proxyscale.base import artifacts


def write(path: Path, values: NDArray[Any]) -> Path:
    """Write an array under a temporary name and rename it. Returns the path."""
    with artifacts.atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)
    return path


def write_header(file: BinaryIO, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """The header of a .npy file, at its start, where the file is then left.

    It can be written again once the number of rows is known: numpy leaves room for it to grow.
    """
    file.seek(0)
    description = np.lib.format.dtype_to_descr(np.dtype(dtype))
    facts = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)
