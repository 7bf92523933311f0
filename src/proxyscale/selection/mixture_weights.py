"""What distributions are made of: each one's share of every source, for a mixture regression."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from proxyscale.base import artifacts


def write_mixtures(out: Path, pool: Path, distributions: Mapping[str, Path]) -> None:
    """A CSV with a row per distribution (`recipe`) and a column per source: the share of its
    examples, over all draws. `pool` is the pool's manifest."""
    sources = artifacts.read_json(pool)["sources"]
    ends = np.cumsum([source["rows"] for source in sources])
    rows = {}
    for name, path in distributions.items():
        ids = artifacts.read(path, "distribution", ["example"])["example"].to_numpy()
        counts = np.bincount(np.searchsorted(ends, ids, side="right"), minlength=len(sources))
        rows[name] = counts / len(ids)
    frame = pd.DataFrame.from_dict(rows, "index", columns=[source["name"] for source in sources])
    with artifacts.atomic(out) as temporary:
        frame.to_csv(temporary, index_label="recipe")
