"""All statistics of a study in one table: proxies, laws through several of them, mixtures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.statistics.grid import read_grid
from proxyscale.statistics.loss_tables import read_weights
from proxyscale.statistics.objective import STANDARDIZED
from proxyscale.statistics.proxy_statistics import summarize
from proxyscale.statistics.scaling_laws import extrapolate, mixture_regression


def every_statistic(
    losses: pa.Table, runs: pa.Table, spec: Mapping[str, Any], weights: str | Path | None = None
) -> pa.Table:
    """The statistics table of tables of these schemas.

    `spec`: reference, groups, confidence, perhaps objective, and `weights` (columns, recipe) of the
    table of mixture weights at that path. Laws are fitted where all compute is known and there are
    two proxies of different compute, mixtures regressed where there are weights.
    """
    common = {"reference": spec["reference"], "confidence": spec["confidence"]}
    objective = spec.get("objective", STANDARDIZED)
    parts = [summarize(losses, runs, groups=spec["groups"], objective=objective, **common)]
    grid = read_grid(losses, runs)
    if np.isfinite(grid.flops).all() and len(np.unique(grid.flops)) > 2:
        parts.append(extrapolate(losses, runs, **common))
    if weights is not None:
        named = spec["weights"]
        mixtures = read_weights(weights, named["columns"], named["recipe"]).shares
        parts.append(mixture_regression(mixtures, losses, runs, **common))
    return pa.concat_tables(parts)
