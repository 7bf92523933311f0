"""Pools and test sets of images, chosen from corpora.

An example's id is its row in the pool for life.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.vision.corpora import natural
from proxyscale.vision.images import INDEX, ROWS, write_images


def build_image_pool(out: Path, corpus: Path, spec: Mapping[str, Any]) -> None:
    """Write the pool, `out/{inputs.npy,index.parquet,manifest.json}`, of a corpus' pool split.

    `spec`: `examples` (null for all), `balanced` (as many of every class), `seed`. The manifest
    has the classes and the mean and deviation of each color, which normalize test images too.
    """
    facts, index, pixels = _open(corpus)
    chosen = _choose(index, "pool", spec["examples"], spec["balanced"], spec["seed"])
    mean, deviation = _moments(pixels, chosen)
    shared = {"classes": facts["classes"], "shape": facts["shape"]}
    write_images(
        out, facts["source"], pixels, index, chosen, shared | {"mean": mean, "deviation": deviation}
    )


def build_image_task(out: Path, corpus: Path, pool: Path, spec: Mapping[str, Any]) -> None:
    """Write a test set: `out/holdout` and `out/target`, folders as of a pool, and a manifest.

    `pool` is the pool's manifest. `spec`: `examples` and `target_examples` (null for all there
    are, 0 for none), `seed`. Images that the pool holds too are dropped and counted. UserError if
    the corpus differs from the pool in size or has other classes.
    """
    facts, index, pixels = _open(corpus)
    normal = artifacts.read_json(pool)
    known = artifacts.read(pool.parent / "index.parquet", INDEX, ["hash"])["hash"]
    index = _relabel(index, facts, normal)
    seen = np.isin(index["hash"].to_numpy(), known.to_numpy())
    shared = {name: normal[name] for name in ("classes", "shape", "mean", "deviation")}
    kept: dict[str, int] = {}
    for split, wanted in (("holdout", spec["examples"]), ("target", spec["target_examples"])):
        chosen = _choose(index, split, wanted, False, spec["seed"], ~seen)
        write_images(out / split, facts["source"], pixels, index, chosen, shared)
        kept[split] = len(chosen)
    manifests = [out / split / "manifest.json" for split in kept]
    dropped = int((seen & (index["split"].to_numpy(zero_copy_only=False) != "pool")).sum())
    artifacts.write_manifest(
        out / "manifest.json", manifests, examples=kept, dropped={"in the pool": dropped}
    )


def _open(corpus: Path) -> tuple[dict[str, Any], pa.Table, NDArray[np.uint8]]:
    facts = artifacts.read_json(corpus / "manifest.json")
    index = artifacts.read(corpus / "index.parquet", INDEX)
    return facts, index, np.load(corpus / "inputs.npy", mmap_mode="r")


def _relabel(index: pa.Table, facts: Mapping[str, Any], normal: Mapping[str, Any]) -> pa.Table:
    """The index with the pool's class numbers."""
    where = f"corpora: {facts['source']}"
    if facts["shape"] != normal["shape"]:
        raise UserError(f"images are {facts['shape']}, the pool's {normal['shape']}", where=where)
    unknown = sorted(set(facts["classes"]) - set(normal["classes"]), key=natural)
    if unknown:
        message = f"has a class {unknown[0]!r} that the pool has not"
        raise UserError(message, where=where, value=unknown[0], allowed=normal["classes"])
    numbers = np.array([normal["classes"].index(name) for name in facts["classes"]], np.int16)
    labels = pa.array(numbers[index["label"].to_numpy()])
    return index.set_column(index.column_names.index("label"), "label", labels)


def _choose(
    index: pa.Table,
    split: str,
    wanted: int | None,
    balanced: bool,
    seed: int,
    allowed: NDArray[np.bool_] | bool = True,
) -> NDArray[np.int64]:
    """Rows of a split, ascending: `wanted` of them by lot, as many of every class if balanced."""
    labels = index["label"].to_numpy()
    own = (index["split"].to_numpy(zero_copy_only=False) == split) & allowed
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    rows = shuffled[own[shuffled]]
    if wanted is None:
        return np.sort(rows)
    if wanted > len(rows):
        message = f"{wanted} images are wanted, its {split} split has {len(rows)}"
        raise UserError(message, where=str(index["source"][0]), value=wanted)
    if not balanced:
        return np.sort(rows[:wanted])
    classes = np.unique(labels)
    if wanted % len(classes):
        message = f"{wanted} images cannot be balanced over {len(classes)} classes"
        raise UserError(message, where="pool.examples", value=wanted)
    parts = [rows[labels[rows] == name][: wanted // len(classes)] for name in classes]
    short = [
        int(name) for name, part in zip(classes, parts, strict=True) if len(part) < len(parts[0])
    ]
    if short or len(parts[0]) < wanted // len(classes):
        message = f"a class has fewer than {wanted // len(classes)} images in the {split} split"
        raise UserError(message, where="pool.examples", hint="balanced: false, or fewer examples")
    return np.sort(np.concatenate(parts))


def _moments(
    pixels: NDArray[np.uint8], chosen: NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each color, 0 to 255."""
    sums, squares, count = 0.0, 0.0, 0
    for start in range(0, len(chosen), ROWS):
        block = pixels[chosen[start : start + ROWS]].reshape(-1, pixels.shape[3]).astype(float)
        sums, squares = sums + block.sum(axis=0), squares + (block**2).sum(axis=0)
        count += len(block)
    mean = sums / count
    return np.asarray(mean).tolist(), np.sqrt(squares / count - mean**2).tolist()
