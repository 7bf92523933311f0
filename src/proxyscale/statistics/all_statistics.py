"""All statistics of a study in one table: proxies and what stands beside them, metrics, laws
through several proxies, mixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.statistics.along_runs import checkpoint_noise
from proxyscale.statistics.besides import Besides, joined
from proxyscale.statistics.gathering import gathered
from proxyscale.statistics.grid_reading import grid_of
from proxyscale.statistics.metrics import Length, metric_statistics
from proxyscale.statistics.objective import STANDARDIZED
from proxyscale.statistics.proxy_statistics import summarize
from proxyscale.statistics.scaling_laws import extrapolate, mixture_regression

NOTHING = Besides()


def every_statistic(
    losses: pa.Table | pa.RecordBatchReader,
    runs: pa.Table,
    spec: Mapping[str, Any],
    weights: Mapping[str, Sequence[float]] | None = None,
    besides: Besides = NOTHING,
    lengths: Mapping[str, Length] | None = None,
) -> pa.Table:
    """The statistics table of tables of these schemas.

    `spec`: reference, groups, confidence, perhaps objective; `weights`: recipe → its shares of the
    sources; `besides`: rivals and checkpoints; `lengths`: of the text of the tasks. Laws are fitted
    where all compute is known and there are two proxies of different compute, mixtures regressed
    where there are weights. No regret is told of a metric whose direction is not known.
    """
    objective = spec.get("objective", STANDARDIZED)
    grouped = {key: spec[key] for key in ("reference", "groups", "confidence")}
    found = gathered(losses)
    grid = whole = grid_of(found, runs)
    told = joined(found, runs, besides)
    if told.levels:
        whole = grid_of(told.losses, told.runs)
    parts = [
        summarize(whole, objective=objective, levels=told.levels, **grouped),
        metric_statistics(found, runs, lengths or {}, **grouped),
    ]
    if besides.checkpoints is not None:
        parts.append(checkpoint_noise(found, besides.checkpoints, grid, **grouped))
    if np.isfinite(grid.flops).all() and len(np.unique(grid.flops)) > 2:
        parts.append(extrapolate(grid, **grouped))
    if weights is not None:
        parts.append(mixture_regression(weights, grid, **grouped))
    table = pa.concat_tables(parts)
    unknown = [task for task, better in grid.better.items() if better == "unknown"]
    if not unknown:
        return table
    picks = pc.match_substring_regex(table["statistic"], "regret|pick")
    return table.filter(pc.invert(pc.and_(picks, pc.is_in(table["task"], pa.array(unknown)))))
