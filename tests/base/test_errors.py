"""A full disk is told in a line with the file, whatever writes it, and leaves nothing behind."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import safetensors.numpy

from proxyscale.base import arrays, artifacts, seals
from proxyscale.base.errors import DiskFull, room
from proxyscale.base.progress import logged

MANY = np.random.default_rng(0).random(100_000)


def _table(path: Path) -> None:
    artifacts.write(path, pa.table({"example": np.arange(len(MANY)), "score": MANY}), "score")


def _tensors(path: Path) -> None:
    with artifacts.atomic(path) as temporary:
        safetensors.numpy.save_file({"a": MANY}, temporary, seals.HEADER)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "t.parquet": _table,
    "m.safetensors": _tensors,
    "a.npy": lambda path: arrays.write(path, MANY),
    "b.json": lambda path: artifacts.write_json(path, {"a": MANY.tolist()}),
    "c.csv": lambda path: artifacts.write_csv(path, [{"a": value} for value in MANY]),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for little."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("disks cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told(disk: Path, name: str) -> None:
    (disk / name).write_text("old")
    with pytest.raises(DiskFull) as told:
        WRITERS[name](disk / name)
    assert told.value.message == "the disk is full"
    assert told.value.where == str(disk / name)
    assert [path.name for path in disk.iterdir()] == [name]
    assert (disk / name).read_text() == "old"


def test_a_log_without_room_ends_no_job(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logged(disk / "job.log"):
        (disk / "ballast").write_bytes(bytes(48 << 10))
        for number in range(3000):
            print("a line of some length", number, file=sys.stderr)
    assert capsys.readouterr().err.endswith("2999\n")
    assert (disk / "job.log").stat().st_size < 64 << 10


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_only_what_says_so_is_a_full_disk(error: int) -> None:
    with pytest.raises(DiskFull, match=r"x\.json: the disk is full"), room(Path("x.json")):
        raise OSError(error, "told")
    with pytest.raises(PermissionError), room(Path("x.json")):
        raise PermissionError
