"""Regression datamodels of one scale as artifacts: for every test set, method, number of subsets.

They are written as [tests, pool] matrices, which are read as TRAK's scores are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.attribution import datamodels
from proxyscale.attribution.lds import truth
from proxyscale.base import arrays, artifacts
from proxyscale.base.errors import UserError
from proxyscale.vision.images import Images
from proxyscale.vision.subsets import read_masks

# Squared penalties tried, as shares of the mean squared singular value of the subsets' design.
RIDGE_PENALTIES = np.geomspace(0.01, 100, 25)


def fit(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    subsets: Sequence[Path],
    losses: Mapping[str, Sequence[Path]],
) -> None:
    """Write `out/{task}/{method}-{subsets}.npy` f32 [tests, pool], and a manifest.

    `spec`: methods ("lasso", "ridge"), subsets (numbers of them; empty for all) and tests (the
    first so many test images; null for all). `subsets` are the files of the draws, `losses` the
    tables of the ensembles trained on them, by task. UserError if more subsets are asked for than
    there are.
    """
    masks, draws = read_masks(subsets, len(Images.open(pool)))
    files = []
    for task, paths in losses.items():
        table = pa.concat_tables(artifacts.read(path, "losses") for path in paths)
        outputs, measured, _ = truth(table)
        if not np.array_equal(measured, draws):
            raise ValueError(f"draws {measured} were measured and {draws} drawn")
        for number in spec["subsets"] or [len(draws)]:
            if number > len(draws):
                message = f"{number} subsets are asked for and there are {len(draws)}"
                raise UserError(message, where="attribution.datamodels.subsets", value=number)
            for method in spec["methods"]:
                path = out / task / f"{method}-{number}.npy"
                chosen = outputs.mean(0)[:number, : spec["tests"]]
                coefficients = _fit(method, masks[:number], chosen)
                files.append(arrays.write(path, coefficients.astype(np.float32)))
    artifacts.write_manifest(out / "manifest.json", files)


def _fit(method: str, masks: datamodels.Array, outputs: datamodels.Array) -> datamodels.Array:
    """The coefficients [tests, pool] of a regression of outputs [m, tests] on masks [m, pool]."""
    if method == "lasso":
        return datamodels.lasso(masks, outputs).coefficients
    scale = ((masks - masks.mean(0)) ** 2).sum() / min(masks.shape)
    return datamodels.ridge(masks, outputs, scale * RIDGE_PENALTIES).coefficients
