"""Image corpora: labelled images of scikit-learn, files or the Hugging Face hub, split by hash.

A corpus is a registered generator of pictures; `build_images` decodes, resizes, splits and counts
them and writes each once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from proxyscale.base import arrays, artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.hub import read_hub
from proxyscale.data.raw_record import Dropped
from proxyscale.data.record_counts import SplitCounts, content_key
from proxyscale.registry import Registry
from proxyscale.vision.decoding import decode
from proxyscale.vision.images import INDEX
from proxyscale.vision.readers import Columns, Picture, pictures, read_images

image_corpus = Registry("image corpus")
MOST_CLASSES = 1 << 15  # labels are i16


DIGITS = 1797  # images


@image_corpus
def digits(*, digits: bool = True) -> Iterator[Picture]:
    """scikit-learn's 1,797 handwritten digits, 8×8 grey, of Alpaydin and Kaynak (1998)."""
    from sklearn.datasets import load_digits  # it costs a CPU second

    data = load_digits()
    pixels = np.round(data.images * (255 / 16)).astype(np.uint8)
    for number, (image, label) in enumerate(zip(pixels, data.target, strict=True)):
        yield Picture(f"digits:{number}", image, str(label))


@image_corpus
def files(
    *,
    files: str | Sequence[str],
    format: str | None = None,
    image: str = "image",
    label: str = "label",
    names: Sequence[str] = (),
) -> Iterator[Picture | Dropped]:
    """Images of files (`parquet`, `npz`, `folder`, `cifar` or `mnist`), or of whole folders.

    A folder's sub-folders are its classes; single image files (`folder`) have the name of the
    folder that they lie in. `format` is told by the files' names where it is not given. `image`
    and `label` are a parquet file's columns (bytes, or a struct with field `bytes`) or an npz
    file's arrays (u8 [n, H, W(, colors)], [n]); classes are whole numbers or text. `cifar` is the
    binary version of CIFAR-10 or CIFAR-100 (fine labels); `mnist` the IDX files of images, beside
    which those of labels lie, perhaps gzipped. `names` are the classes' names by number.
    """
    for picture in read_images(files, format, Columns(image, label)):
        yield _named(picture, names)


@image_corpus
def hub(
    *,
    hub: str,
    revision: str,
    config: str | None = None,
    split: str = "train",
    image: str = "image",
    label: str = "label",
    names: Sequence[str] = (),
    streaming: bool = True,
) -> Iterator[Picture | Dropped]:
    """Images of a dataset on the Hugging Face hub, at a pinned commit."""
    records = read_hub(hub, revision, config=config, split=split, streaming=streaming)
    for picture in pictures(records, Columns(image, label)):
        yield _named(picture, names)


def _named(picture: Picture | Dropped, names: Sequence[str]) -> Picture | Dropped:
    if isinstance(picture, Dropped) or not names:
        return picture
    if not picture.label.isdecimal() or int(picture.label) >= len(names):
        message = f"class {picture.label} has no name among the {len(names)} given"
        raise UserError(message, where=f"names: {picture.name}")
    return picture._replace(label=str(names[int(picture.label)]))


def build_images(out: Path, source: str, spec: Mapping[str, Any]) -> None:
    """Write an image corpus: `out/inputs.npy`, `out/index.parquet` and `out/manifest.json`.

    `spec`: `kind` and its `options`; `size` (square, in pixels) and `colors` (1 or 3), null for the
    images' own; `images`, where to stop; `holdout` and `target`, shares that a hash of the pixels
    decides; `seed` of the split. Exact duplicates are dropped, and so is what is unreadable, too
    large or without a class; every record is counted, by reason and with the first names. UserError
    if images differ in size where none is given, or more than half of them cannot be used.
    """
    rows = _Rows(spec)
    with artifacts.atomic(out / "inputs.npy") as temporary, temporary.open("wb") as file:
        for item in image_corpus[spec["kind"]](**spec["options"]):
            rows.add(item, file)
            if spec.get("images") and len(rows.labels) >= spec["images"]:
                break
        if not rows.labels:
            message = f"no usable image: {rows.counts.told() or 'none found'}"
            raise UserError(message, where=f"corpora: {source}")
        rows.counts.check("images")
        arrays.write_header(file, np.uint8, (len(rows.labels), *rows.shape))
    classes = sorted(set(rows.labels), key=natural)
    if len(classes) > MOST_CLASSES:
        message = f"{len(classes):,} classes, where {MOST_CLASSES:,} can be told apart"
        raise UserError(message, where=f"corpora: {source}", hint="is `label` the right column?")
    artifacts.write(out / "index.parquet", rows.index(source, classes), INDEX)
    artifacts.write_manifest(
        out / "manifest.json",
        [out / "inputs.npy", out / "index.parquet"],
        source=source,
        kind=spec["kind"],
        shape=list(rows.shape),
        classes=classes,
        images=dict(Counter(rows.splits)),
        **rows.counts.facts(),
    )


class _Rows:
    """What is known of the images written so far."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = spec
        self.counts = SplitCounts(spec)
        self.shape: tuple[int, ...] = ()
        self.labels: list[str] = []
        self.hashes: list[int] = []
        self.splits: list[str] = []

    def add(self, item: Picture | Dropped, file: BinaryIO) -> None:
        """Write one image, or count why not."""
        self.counts.read += 1
        if isinstance(item, Dropped):
            self.counts.drop(item)
            return
        try:
            pixels = decode(item.image, self.spec.get("size"), self.spec.get("colors"))
        except ValueError as error:
            self.counts.drop(Dropped(item.name, str(error), broken=True))
            return
        if not self.shape:
            self.shape = pixels.shape
            arrays.write_header(file, np.uint8, (0, *self.shape))
        if pixels.shape != self.shape:
            message = f"is {list(pixels.shape)} where those before it are {list(self.shape)}"
            raise UserError(message, where=item.name, hint="give the corpus size: and colors:")
        key = content_key(pixels.tobytes())
        split = self.counts.keep(item.name, key)
        if split is None:
            return
        file.write(pixels.tobytes())
        self.hashes.append(key)
        self.labels.append(item.label)
        self.splits.append(split)

    def index(self, source: str, classes: Sequence[str]) -> pa.Table:
        """The index of the images written, labels as numbers in `classes`."""
        place = {name: number for number, name in enumerate(classes)}
        count = np.arange(len(self.labels), dtype=np.uint32)
        columns = {
            "example": count,
            "source": [source] * len(count),
            "document": count,
            "hash": np.array(self.hashes, np.uint64),
            "label": np.array([place[name] for name in self.labels], np.int16),
            "split": self.splits,
        }
        return pa.table(columns)


def natural(name: str) -> tuple[bool, int, str]:
    """Numbers in their own order, before words."""
    number = name.isdecimal() and len(name) < 20
    return not number, int(name) if number else 0, name
