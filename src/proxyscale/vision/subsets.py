"""Training distributions of images: the pool, random subsets of it, and the pool without a part.

Draw `image · shares + share` of a removal leaves the share numbered `share` out for the test image
numbered `image`: another image adds draws and changes none.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from proxyscale.attribution.lds import stratified_subset
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.vision.images import Images

Array = NDArray[np.floating]


def build_subsets(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    *,
    holdout: Path | None = None,
    influence: Array | None = None,
    likeness: Array | None = None,
) -> None:
    """Write the draws of a distribution that one ensemble trains on, as a distribution table.

    `spec`: name, method, draws (their numbers), seed; `fraction` of a stratified subset; `shares`
    and `images` (test images) of a removal. `holdout` is the manifest of the test images, of which
    a removal may need each pool image's `influence` or `likeness` [tests, pool].
    """
    labels = Images.open(pool).labels
    parts = []
    for draw in spec["draws"]:
        if spec["method"] == "everything":
            kept = np.ones(len(labels), bool)
        elif spec["method"] == "stratified":
            kept = stratified_subset(
                labels, draw, fraction=spec["fraction"], seed=spec["seed"]
            ).astype(bool)
        else:
            image, share = _place(spec, draw)
            kept = ~_removed(spec, draw, image, share, labels, holdout, influence, likeness)
        ids = np.flatnonzero(kept)
        parts.append(pa.table({"draw": np.full(len(ids), draw), "example": ids}))
    artifacts.write(out, pa.concat_tables(parts), "distribution")


def _place(spec: Mapping[str, Any], draw: int) -> tuple[int, float]:
    """The test image and the share of a removal's draw."""
    image, share = divmod(draw, len(spec["shares"]))
    return spec["images"][image], spec["shares"][share]


def _removed(
    spec: Mapping[str, Any],
    draw: int,
    image: int,
    share: float,
    labels: NDArray[np.int64],
    holdout: Path | None,
    influence: Array | None,
    likeness: Array | None,
) -> NDArray[np.bool_]:
    """What a removal leaves out, as a mask [pool]."""
    rng = np.random.default_rng([spec["seed"], draw, zlib.crc32(spec["name"].encode())])
    method, own = spec["method"], np.ones(len(labels), bool)
    ranked = rng.random(len(labels))
    if method == "same-class":
        own = labels == _known(holdout, "test images", image)
    elif method in ("top-influence", "bottom-influence"):
        ranked = _known(influence, "scores", image)
    elif method in ("most-similar", "least-similar"):
        ranked = _known(likeness, "features", image)
    if method in ("bottom-influence", "least-similar"):
        ranked = -ranked
    count = round(share * own.sum())
    best = np.argsort(-np.where(own, ranked, -np.inf), kind="stable")[:count]
    return np.isin(np.arange(len(labels)), best)


def _known(values: Any, what: str, image: int) -> Any:
    """One test image's value. UserError if there is no such image."""
    if values is None:
        raise ValueError(f"this method needs {what}")
    found = Images.open(values).labels if isinstance(values, Path) else values
    if image >= len(found):
        message = f"the task has {len(found)} test images, and none numbered {image}"
        raise UserError(message, where="counterfactuals.images", value=image)
    return found[image]


def read_masks(files: Sequence[Path], examples: int) -> tuple[Array, NDArray[np.int64]]:
    """The indicators [draws, examples] of all draws of a distribution's files, and their numbers.

    Both by ascending draw.
    """
    table = pa.concat_tables(artifacts.read(f, "distribution", ["draw", "example"]) for f in files)
    draws, rows = np.unique(table["draw"].to_numpy(), return_inverse=True)
    masks = np.zeros((len(draws), examples))
    masks[rows, table["example"].to_numpy()] = 1
    return masks, draws.astype(np.int64)
