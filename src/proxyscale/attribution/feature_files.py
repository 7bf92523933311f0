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

from proxyscale.base import arrays, artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.progress import Progress

FLUSH = 1024  # examples between two marks of how far the features are
ROWS = 4096  # rows of features held at a time


def vouched(out: Path, ids: np.ndarray, facts: Mapping[str, Any]) -> bool:
    """Whether the features are the ones that would be made."""
    manifest = out / "manifest.json"
    known = artifacts.read_json(manifest) if manifest.exists() else {}
    files = known.pop("files", None)
    return (
        known == facts
        and all((out / f).exists() and artifacts.sha256(out / f) == d for f, d in files.items())
        and np.array_equal(np.load(out / "ids.npy"), ids)
    )


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
    partial, marker, file = out / "partial.npy", out / "partial.json", out / "features.npy"
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + ids.tobytes()).hexdigest()
    known = artifacts.read_json(marker) if marker.exists() and partial.exists() else {}
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
    partial.replace(file)
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
        if not (folder / "features.npy").exists():
            hint = "remove the manifest beside it, and snakemake makes both again"
            raise UserError(f"no such file: {folder}/features.npy", hint=hint)
        values = np.load(folder / "features.npy", mmap_mode="r")
        return cls(np.load(folder / "ids.npy"), values, facts)

    def blocks(self, device: torch.device) -> Iterator[Tensor]:
        """The values, some thousand rows at a time."""
        for start in range(0, len(self.values), ROWS):
            yield torch.from_numpy(np.array(self.values[start : start + ROWS])).to(device)
