"""Pools and test sets of images: u8 [n, H, W, colors], an index with labels, and a manifest.

An image corpus is resized, split by hash and written once; the pool and the test sets are then
chosen from corpora. An example's id is its row in the pool for life.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.formats import Dropped
from proxyscale.vision.corpora import Picture, decode, image_corpus

ROWS = 4096  # images held in memory while statistics are taken or rows copied

artifacts.SCHEMAS["image_index"] = pa.schema(
    [
        *artifacts.SCHEMAS["index"],
        pa.field("label", pa.int16()),
        pa.field("split", pa.string()),  # pool, target or holdout
    ]
)


@dataclass(frozen=True)
class Images:
    """Images in memory maps, with the statistics that normalize them."""

    pixels: NDArray[np.uint8]  # [n, H, W, colors]
    labels: NDArray[np.int64]  # [n]
    classes: list[str]
    mean: list[float]  # of the pool, per color, 0 to 255
    deviation: list[float]

    @classmethod
    def open(cls, manifest: Path) -> Images:
        """The pool of a manifest, or the split of a task (`task/holdout/manifest.json`)."""
        facts, folder = artifacts.read_json(manifest), manifest.parent
        index = artifacts.read(folder / "index.parquet", "image_index", ["label"])
        return cls(
            pixels=np.load(folder / "inputs.npy", mmap_mode="c"),
            labels=index["label"].to_numpy().astype(np.int64),
            classes=facts["classes"],
            mean=facts["mean"],
            deviation=facts["deviation"],
        )

    def __len__(self) -> int:
        return len(self.labels)


def build_images(out: Path, source: str, spec: Mapping[str, Any]) -> None:
    """Write an image corpus: `out/inputs.npy`, `out/index.parquet` and `out/manifest.json`.

    `spec`: `kind` and its `options`; `size` (square, in pixels) and `colors` (1 or 3), null for the
    images' own; `images`, where to stop; `holdout` and `target`, shares that a hash of the pixels
    decides; `seed` of the split. Exact duplicates are dropped; so are unreadable images, counted.
    UserError if images differ in size where none is given.
    """
    rows = _Rows(spec)
    with artifacts.atomic(out / "inputs.npy") as temporary, temporary.open("wb") as file:
        for item in image_corpus[spec["kind"]](**spec["options"]):
            rows.add(item, file)
            if spec.get("images") and len(rows.labels) >= spec["images"]:
                break
        if not rows.labels:
            raise UserError("has no images", where=f"corpora: {source}")
        _header(file, (len(rows.labels), *rows.shape))
    classes = sorted(set(rows.labels), key=_natural)
    artifacts.write(out / "index.parquet", rows.index(source, classes), "image_index")
    artifacts.write_manifest(
        out / "manifest.json",
        [out / "inputs.npy", out / "index.parquet"],
        source=source,
        kind=spec["kind"],
        shape=list(rows.shape),
        classes=classes,
        images=dict(Counter(rows.splits)),
        dropped=dict(rows.dropped),
    )


class _Rows:
    """What is known of the images written so far."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = spec
        self.shape: tuple[int, ...] = ()
        self.labels: list[str] = []
        self.hashes: dict[int, None] = {}  # in order, and quick to ask
        self.splits: list[str] = []
        self.dropped: Counter[str] = Counter()

    def add(self, item: Picture | Dropped, file: BinaryIO) -> None:
        """Write one image, or count why not."""
        if isinstance(item, Dropped):
            self.dropped[item.reason] += 1
            return
        try:
            pixels = decode(item.image, self.spec.get("size"), self.spec.get("colors"))
        except ValueError:
            self.dropped["not an image"] += 1
            return
        key = _hash(pixels.tobytes())
        if key in self.hashes:
            self.dropped["duplicate"] += 1
            return
        if not self.shape:
            self.shape = pixels.shape
            _header(file, (0, *self.shape))
        if pixels.shape != self.shape:
            message = f"is {list(pixels.shape)} where those before it are {list(self.shape)}"
            raise UserError(message, where=item.name, hint="give the corpus size: and colors:")
        file.write(pixels.tobytes())
        self.hashes[key] = None
        self.labels.append(item.label)
        self.splits.append(_split(key, self.spec))

    def index(self, source: str, classes: Sequence[str]) -> pa.Table:
        """The index of the images written, labels as numbers in `classes`."""
        place = {name: number for number, name in enumerate(classes)}
        count = np.arange(len(self.labels), dtype=np.uint32)
        columns = {
            "example": count,
            "source": [source] * len(count),
            "document": count,
            "hash": np.array(list(self.hashes), np.uint64),
            "label": np.array([place[name] for name in self.labels], np.int16),
            "split": self.splits,
        }
        return pa.table(columns)


def _header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """A .npy header at the file's start; numpy leaves room for the number of rows to grow."""
    file.seek(0)
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def _split(key: int, spec: Mapping[str, Any]) -> str:
    place = _hash(f"{spec.get('seed', 0)}:{key}".encode()) / 2**64
    holdout, target = spec.get("holdout", 0.0), spec.get("target", 0.0)
    return "holdout" if place < holdout else "target" if place < holdout + target else "pool"


def _natural(name: str) -> tuple[bool, int, str]:
    """Numbers in their own order, before words."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def build_image_pool(out: Path, corpus: Path, spec: Mapping[str, Any]) -> None:
    """Write the pool, `out/{inputs.npy,index.parquet,manifest.json}`, of a corpus' pool split.

    `spec`: `examples` (null for all), `balanced` (as many of every class), `seed`. The manifest
    has the classes and the mean and deviation of each color, which normalize test images too.
    """
    facts, index, pixels = _open(corpus)
    chosen = _choose(index, "pool", spec["examples"], spec["balanced"], spec["seed"])
    mean, deviation = _moments(pixels, chosen)
    shared = {"classes": facts["classes"], "shape": facts["shape"]}
    _copy(
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
    known = artifacts.read(pool.parent / "index.parquet", "image_index", ["hash"])["hash"]
    index = _relabel(index, facts, normal)
    seen = np.isin(index["hash"].to_numpy(), known.to_numpy())
    shared = {name: normal[name] for name in ("classes", "shape", "mean", "deviation")}
    kept: dict[str, int] = {}
    for split, wanted in (("holdout", spec["examples"]), ("target", spec["target_examples"])):
        chosen = _choose(index, split, wanted, False, spec["seed"], ~seen)
        _copy(out / split, facts["source"], pixels, index, chosen, shared)
        kept[split] = len(chosen)
    manifests = [out / split / "manifest.json" for split in kept]
    dropped = int((seen & (index["split"].to_numpy(zero_copy_only=False) != "pool")).sum())
    artifacts.write_manifest(
        out / "manifest.json", manifests, examples=kept, dropped={"in the pool": dropped}
    )


def _open(corpus: Path) -> tuple[dict[str, Any], pa.Table, NDArray[np.uint8]]:
    facts = artifacts.read_json(corpus / "manifest.json")
    index = artifacts.read(corpus / "index.parquet", "image_index")
    return facts, index, np.load(corpus / "inputs.npy", mmap_mode="r")


def _relabel(index: pa.Table, facts: Mapping[str, Any], normal: Mapping[str, Any]) -> pa.Table:
    """The index with the pool's class numbers."""
    where = f"corpora: {facts['source']}"
    if facts["shape"] != normal["shape"]:
        raise UserError(f"images are {facts['shape']}, the pool's {normal['shape']}", where=where)
    unknown = sorted(set(facts["classes"]) - set(normal["classes"]), key=_natural)
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


def _copy(
    out: Path,
    source: str,
    pixels: NDArray[np.uint8],
    index: pa.Table,
    chosen: NDArray[np.int64],
    facts: Mapping[str, Any],
) -> None:
    """Write the chosen rows, their index and a manifest with `facts`."""
    with artifacts.atomic(out / "inputs.npy") as temporary, temporary.open("wb") as file:
        _header(file, (len(chosen), *pixels.shape[1:]))
        for start in range(0, len(chosen), ROWS):
            pixels[chosen[start : start + ROWS]].tofile(file)
    rows = index.take(chosen)
    number = np.arange(len(chosen), dtype=np.uint32)
    rows = rows.set_column(rows.column_names.index("example"), "example", pa.array(number))
    artifacts.write(out / "index.parquet", rows, "image_index")
    labels = Counter(rows["label"].to_pylist())
    artifacts.write_manifest(
        out / "manifest.json",
        [out / "inputs.npy", out / "index.parquet"],
        source=source,
        images=len(chosen),
        per_class={facts["classes"][label]: count for label, count in labels.items()},
        **facts,
    )
