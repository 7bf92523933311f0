"""Features of many examples as files: written block by block, resumed, mapped and read in blocks.

A folder holds features.npy [n, k], ids.npy u32 [n] and a manifest that says whose they are, or a
manifest alone that names the folders of its shards. Kept as float16 or int8, a row is four bytes of
its largest magnitude (f32), then its numbers as shares of that.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
import xxhash
from torch import Tensor

from proxyscale.base import arrays, artifacts, seals
from proxyscale.base.cost import row_bytes
from proxyscale.base.errors import room
from proxyscale.base.progress import Progress

FLUSH = 1024  # examples between two marks of how far the features are
ROWS = 4096  # rows of features held at a time
SCALE = 4  # bytes of a row's scale
# What numbers are kept as, and the share of 1 that is their unit.
KEPT: Mapping[str, tuple[type[np.generic], float]] = {
    "fp16": (np.float16, 1.0),
    "int8": (np.int8, 127.0),
}


def encoded(values: np.ndarray, keep: str) -> np.ndarray:
    """Rows f32 [n, k] as they are kept: themselves, or bytes u8 [n, …]."""
    if keep == "fp32":
        return values
    kind, unit = KEPT[keep]
    scale = np.maximum(np.abs(values).max(1, keepdims=True), np.finfo(np.float32).tiny)
    shares = values / scale * unit
    numbers = np.rint(shares).astype(kind) if keep == "int8" else shares.astype(kind)
    return np.hstack([scale.astype(np.float32).view(np.uint8), numbers.view(np.uint8)])


def decoded(rows: np.ndarray, keep: str) -> np.ndarray:
    """What `encoded` was given, to its rounding: f32 [n, k]."""
    if keep == "fp32":
        return rows
    kind, unit = KEPT[keep]
    scale = np.ascontiguousarray(rows[:, :SCALE]).view(np.float32)
    numbers = np.ascontiguousarray(rows[:, SCALE:]).view(kind).astype(np.float32)
    return np.asarray(numbers * (scale / np.float32(unit)))


class Rows:
    """Rows of features in files, one after another, as f32 [n, k]; read when asked for."""

    def __init__(self, files: Sequence[np.ndarray], keep: str) -> None:
        self.files, self.keep = files, keep
        self.ends = np.cumsum([len(file) for file in files]).tolist()

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, where: slice) -> np.ndarray:
        start, stop, _ = where.indices(len(self))
        parts = []
        for end, file in zip(self.ends, self.files, strict=True):
            first = end - len(file)
            if first < stop and start < end:
                own = file[max(0, start - first) : min(stop, end) - first]
                parts.append(decoded(np.array(own), self.keep))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def vouched(out: Path, ids: np.ndarray, facts: Mapping[str, Any]) -> bool:
    """Whether the features are the ones that would be made."""
    files = out / "manifest.json", out / "features.npy", out / "ids.npy"
    if not all(map(seals.intact, files)):
        return False
    known = artifacts.read_json(files[0])
    sums = {name: artifacts.sha256(out / name) for name in known.pop("files")}
    same = known == facts and sums == artifacts.read_json(files[0])["files"]
    return same and np.array_equal(arrays.read(files[2]), ids)


def write_features(
    out: Path,
    ids: np.ndarray,
    facts: Mapping[str, Any],
    features: Callable[[slice], Tensor],
    batch: int,
    title: str,
) -> None:
    """Write `features` of all slices of the examples, and the manifest last.

    `facts["dimension"]` is their number of columns, `facts["keep"]` what they are kept as (fp32).
    `facts` and `ids` decide whether what an interrupted job left behind can be gone on with. Where
    a batch does not fit a GPU's memory, it is halved.
    """
    partial, marker, file = out / "partial.rows", out / "partial.json", out / "features.npy"
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + ids.tobytes()).hexdigest()
    keep = facts.get("keep", "fp32")
    row = row_bytes(facts["dimension"], keep)
    header = (np.float32, row // 4) if keep == "fp32" else (np.uint8, row)
    with room(partial), partial.open("r+b" if partial.exists() else "w+b") as rows:
        done, written = _left_behind(rows, marker, key, row)
        if not done:
            arrays.write_header(rows, header[0], (len(ids), header[1]))
        progress, start = Progress(title, len(ids)), done
        while start < len(ids):
            stop = min(start + batch, len(ids))
            try:
                values = features(slice(start, stop)).cpu().numpy().astype(np.float32)
            except torch.cuda.OutOfMemoryError:
                if batch == 1:
                    raise
                batch //= 2
                torch.cuda.empty_cache()
                continue
            block = encoded(values, keep).tobytes()
            rows.write(block)
            written.update(block)
            if stop // FLUSH > start // FLUSH or stop == len(ids):
                rows.flush()
                os.fsync(rows.fileno())
                mark = {"key": key, "done": stop, "sum": written.hexdigest()}
                artifacts.write_json(marker, mark)
            progress.step(stop)
            start = stop
        rows.truncate()
    progress.close(f"{len(ids)} examples")
    arrays.write(out / "ids.npy", ids.astype(np.uint32))
    with artifacts.atomic(file) as temporary:
        partial.replace(temporary)
    marker.unlink()
    artifacts.write_manifest(out / "manifest.json", [file, out / "ids.npy"], **facts)


def _left_behind(rows: BinaryIO, marker: Path, key: str, row: int) -> tuple[int, xxhash.xxh3_128]:
    """How many rows of so many bytes an interrupted job left, and their sum so far.

    None of another job, and none if they are not what it wrote. The file is left behind them.
    """
    known = artifacts.read_json(marker) if seals.intact(marker) else {}
    if known.get("key") == key:
        done, written = known["done"], xxhash.xxh3_128()
        arrays.skip_header(rows)
        left = done * row
        while left and (block := rows.read(min(left, 1 << 20))):
            written.update(block)
            left -= len(block)
        if not left and written.hexdigest() == known.get("sum"):
            return done, written
    rows.truncate(0)
    return 0, xxhash.xxh3_128()


class Features(NamedTuple):
    """What `write_features` wrote: ids u32 [n], values [n, k] in their files, the manifest."""

    ids: np.ndarray
    values: Any  # an array, or `Rows`
    facts: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Features:
        """Map a folder of features."""
        facts = artifacts.read_json(folder / "manifest.json")
        parts = [folder / name for name in facts.get("shards", ["."])]
        ids = np.concatenate([arrays.read(part / "ids.npy") for part in parts])
        files = [arrays.read(part / "features.npy", "r") for part in parts]
        return cls(ids, Rows(files, facts.get("keep", "fp32")), facts)

    def blocks(self, device: torch.device) -> Iterator[Tensor]:
        """The values, some thousand rows at a time."""
        for start in range(0, len(self.values), ROWS):
            yield torch.from_numpy(np.array(self.values[start : start + ROWS])).to(device)
