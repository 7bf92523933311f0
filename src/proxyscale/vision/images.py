"""Folders of images: u8 [n, H, W, colors], an index with labels, and a manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from proxyscale.base import arrays, artifacts

ROWS = 4096  # images held in memory while statistics are taken or rows copied
HELD = 1 << 32  # bytes of a pool that an accelerator keeps in its own memory

INDEX = "image_index"
artifacts.SCHEMAS[INDEX] = pa.schema(
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
        index = artifacts.read(folder / "index.parquet", INDEX, ["label"])
        return cls(
            pixels=arrays.read(folder / "inputs.npy", "c"),
            labels=index["label"].to_numpy().astype(np.int64),
            classes=facts["classes"],
            mean=facts["mean"],
            deviation=facts["deviation"],
        )

    def __len__(self) -> int:
        return len(self.labels)


def write_images(
    out: Path,
    source: str,
    pixels: NDArray[np.uint8],
    index: pa.Table,
    chosen: NDArray[np.int64],
    facts: Mapping[str, Any],
) -> None:
    """Write the chosen rows, their index and a manifest with `facts`."""
    with artifacts.atomic(out / "inputs.npy") as temporary, temporary.open("wb") as file:
        arrays.write_header(file, np.uint8, (len(chosen), *pixels.shape[1:]))
        for start in range(0, len(chosen), ROWS):
            pixels[chosen[start : start + ROWS]].tofile(file)
    rows = index.take(chosen)
    number = np.arange(len(chosen), dtype=np.uint32)
    rows = rows.set_column(rows.column_names.index("example"), "example", pa.array(number))
    artifacts.write(out / "index.parquet", rows, INDEX)
    labels = Counter(rows["label"].to_pylist())
    artifacts.write_manifest(
        out / "manifest.json",
        [out / "inputs.npy", out / "index.parquet"],
        source=source,
        images=len(chosen),
        per_class={facts["classes"][label]: count for label, count in labels.items()},
        **facts,
    )
