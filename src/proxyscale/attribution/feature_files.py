"""Features of many examples as files: written block by block, resumed, mapped and read in blocks.

A folder holds features.npy f32 [n, k], ids.npy u32 [n] and a manifest that says whose they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from proxyscale.base import arrays, artifacts, seals
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
    """Write `features` of all slices of the examples to a memory map, and the manifest last.

    `facts["dimension"]` is their number of columns. `facts` and `ids` decide whether what an
    interrupted job left behind can be gone on with.
    """
    partial, marker, file = out / "partial.rows", out / "partial.json", out / "features.npy"
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + ids.tobytes()).hexdigest()
    known = artifacts.read_json(marker) if partial.exists() and seals.intact(marker) else {}
    done = known["done"] if known.get("key") == key else 0
    shape = (len(ids), facts["dimension"])
    written = np.lib.format.open_memmap(partial, "r+" if done else "w+", np.float32, shape)
    progress = Progress(title, len(ids))
    for start in range(done, len(ids), batch):
        stop = min(start + batch, len(ids))
        written[start:stop] = features(slice(start, stop)).cpu().numpy()
        if stop // FLUSH > start // FLUSH or stop == len(ids):
            written.flush()
            artifacts.write_json(marker, {"key": key, "done": stop})
        progress.step(stop)
    progress.close(f"{len(ids)} examples")
    arrays.write(out / "ids.npy", ids.astype(np.uint32))
    del written
    with artifacts.atomic(file) as temporary:
        partial.replace(temporary)
    marker.unlink()
    artifacts.write_manifest(out / "manifest.json", [file, out / "ids.npy"], **facts)


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
