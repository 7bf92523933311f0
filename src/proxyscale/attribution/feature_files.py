"""Features of many examples as files: written block by block, resumed, mapped and read in blocks.

A folder holds features.npy f32 [n, k], ids.npy u32 [n] and a manifest that says whose they are.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
import xxhash
from torch import Tensor

from proxyscale.base import arrays, artifacts, seals
from proxyscale.base.errors import room
from proxyscale.base.progress import Progress

FLUSH = 1024  # examples between two marks of how far the features are
ROWS = 4096  # rows of features held at a time


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

    `facts["dimension"]` is their number of columns. `facts` and `ids` decide whether what an
    interrupted job left behind can be gone on with.
    """
    partial, marker, file = out / "partial.rows", out / "partial.json", out / "features.npy"
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + ids.tobytes()).hexdigest()
    row = 4 * facts["dimension"]
    with room(partial), partial.open("r+b" if partial.exists() else "w+b") as rows:
        done, written = _left_behind(rows, marker, key, row)
        if not done:
            arrays.write_header(rows, np.float32, (len(ids), facts["dimension"]))
        progress = Progress(title, len(ids))
        for start in range(done, len(ids), batch):
            stop = min(start + batch, len(ids))
            block = features(slice(start, stop)).cpu().numpy().astype(np.float32).tobytes()
            rows.write(block)
            written.update(block)
            if stop // FLUSH > start // FLUSH or stop == len(ids):
                rows.flush()
                os.fsync(rows.fileno())
                mark = {"key": key, "done": stop, "sum": written.hexdigest()}
                artifacts.write_json(marker, mark)
            progress.step(stop)
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
    """What `write_features` wrote: ids u32 [n], values [n, k] as a memory map, the manifest."""

    ids: np.ndarray
    values: np.ndarray
    facts: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Features:
        """Map a folder of features."""
        facts = artifacts.read_json(folder / "manifest.json")
        values = arrays.read(folder / "features.npy", "r")
        return cls(arrays.read(folder / "ids.npy"), values, facts)

    def blocks(self, device: torch.device) -> Iterator[Tensor]:
        """The values, some thousand rows at a time."""
        for start in range(0, len(self.values), ROWS):
            yield torch.from_numpy(np.array(self.values[start : start + ROWS])).to(device)
