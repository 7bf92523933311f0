"""How much a loss wavers along a run, beside how much it differs from seed to seed.

Signal and noise as in arXiv 2508.13144: noise is the standard deviation of the last checkpoints of
a run, signal here the standard deviation over recipes. What a run waves about is its own straight
line through these checkpoints, and what all runs of a scale have in common at a checkpoint is the
schedule's; what is left is the noise. It tells of single runs' ends and not of other seeds, so it
stands beside the seed noise and is never a part of an error or of a ceiling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.tables import with_constants
from proxyscale.statistics.gathering import RUN, Gathered
from proxyscale.statistics.grid import Array, Grid
from proxyscale.statistics.proxy_statistics import DISTRIBUTION, as_table, group_members
from proxyscale.statistics.seed_noise import sd_interval

if TYPE_CHECKING:
    import pandas as pd

LAST = 5  # checkpoints, the run's end among them
Row = dict[str, Any]


def checkpoint_noise(
    losses: Gathered,
    checkpoints: pa.Table,
    grid: Grid,
    *,
    reference: str,
    groups: Mapping[str, Sequence[str]],
    confidence: float,
) -> pa.Table:
    """`checkpoint_sd` and `checkpoint_signal_to_noise` of every scale, task and group.

    Rows as those of seed noise: of a proxy, and with `reference_` before it of the reference. Of
    runs with fewer than three checkpoints, their end among them, nothing is told.
    """
    last = losses.by_run()
    means = pc.divide(last["loss"], last["rows"])
    ends = with_constants(last.select([*RUN, "task"]), step=1.0).append_column("loss_mean", means)
    early = checkpoints.group_by([*RUN, "task", "step"]).aggregate([("loss", "mean")])
    frame = pa.concat_tables([early.select(ends.column_names), ends]).to_pandas()
    wide = frame.pivot(index=[*RUN, "task"], columns="step", values="loss_mean").dropna()
    wide = wide[sorted(wide.columns)[-LAST:]]
    if wide.shape[1] < 3:
        return as_table([])
    ratios = dict(zip(grid.scales, grid.compute_ratios(reference), strict=True))
    rows: list[Row] = []
    for group, chosen in group_members(grid, groups).items():
        names = [grid.distributions[i] for i in chosen]
        for task in grid.tasks:
            found = {s: list(_rows(wide, s, task, names, confidence)) for s in grid.scales}
            for proxy in grid.scales:
                if proxy == reference:
                    continue
                place = {"level": DISTRIBUTION, "group": group, "task": task, "proxy": proxy}
                place |= {"reference": reference, "compute_ratio": ratios[proxy]}
                rows += [place | row for row in found[proxy]]
                rows += [
                    place | row | {"statistic": f"reference_{row['statistic']}"}
                    for row in found[reference]
                ]
    return as_table(rows)


def _rows(
    wide: pd.DataFrame, scale: str, task: str, names: Sequence[str], confidence: float
) -> Iterator[Row]:
    """The rows of one scale on one task, over the named distributions."""
    index = wide.index
    mine = wide[
        (index.get_level_values("scale") == scale)
        & (index.get_level_values("task") == task)
        & index.get_level_values("distribution").isin(names)
    ]
    if not len(mine):
        return
    sd, degrees = about_trend(mine.to_numpy(float), np.array(mine.columns, dtype=float))
    low, high = sd_interval(sd, degrees, confidence)
    means = mine.iloc[:, -1].groupby("distribution").mean()
    row = {"statistic": "checkpoint_sd", "value": sd, "low": low, "high": high, "unit": "loss"}
    yield row | {"n": len(means)}
    if sd > 0 and len(means) > 2:
        told = float(np.std(means, ddof=1) / sd)
        yield {"statistic": "checkpoint_signal_to_noise", "value": told, "n": len(means)}


def about_trend(losses: Array, steps: Array) -> tuple[float, int]:
    """The sd of losses [runs, steps] about a line for each run and a mean for each step.

    Also its degrees of freedom, (runs − 1)·(steps − 2); of a single run steps − 2.
    """
    design = np.stack([np.ones_like(steps), steps - steps.mean()], axis=1)
    left = losses - losses @ design @ np.linalg.pinv(design)
    runs = len(losses)
    if runs > 1:
        left = left - left.mean(axis=0)
    degrees = max(runs - 1, 1) * (len(steps) - 2)
    return float(np.sqrt((left**2).sum() / degrees)), degrees
