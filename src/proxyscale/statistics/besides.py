"""What stands beside the scales of a comparison: rivals that train nothing, and checkpoints.

Both are read as proxies, with the same statistics at a level of their own (`rival`, `checkpoint`),
so that nothing that is said of scales counts them in. A checkpoint is named after its scale and the
share of its steps, `xs@0.5`, and costs that share of its compute; its learning rate has not come
down, so it is not what training for so long would have given.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.paths import loss_stem
from proxyscale.statistics.gathering import Gathered, gathered, together
from proxyscale.statistics.proxy_statistics import CHECKPOINT, RIVAL


class Besides(NamedTuple):
    """Tables of what stands beside the scales."""

    rivals: tuple[pa.Table, pa.Table] | None = None  # losses and runs
    checkpoints: pa.Table | None = None


class Joined(NamedTuple):
    """Losses and runs of scales and of all that stands beside them; the levels of the latter."""

    losses: Gathered
    runs: pa.Table
    levels: dict[str, str]


def joined(losses: Gathered, runs: pa.Table, besides: Besides) -> Joined:
    """All losses as one, and all runs: rivals and checkpoints are scales of the grid.

    A rival that has the name of a scale gives way to it.
    """
    all_losses, all_runs = [losses], [runs]
    levels: dict[str, str] = {}
    if besides.rivals is not None:
        more, theirs = besides.rivals
        known = pc.is_in(theirs["scale"], runs["scale"].unique())
        theirs = theirs.filter(pc.invert(known))
        more = more.filter(pc.is_in(more["scale"], theirs["scale"].unique()))
        all_losses.append(gathered(more))
        all_runs.append(_with(theirs, role=pa.repeat("grid", len(theirs))))
        levels |= dict.fromkeys(theirs["scale"].unique().to_pylist(), RIVAL)
    if besides.checkpoints is not None:
        for share in sorted(besides.checkpoints["step"].unique().to_pylist()):
            mine = besides.checkpoints.filter(pc.equal(besides.checkpoints["step"], share))
            found = gathered(mine.drop_columns(["step"]))
            all_losses.append(found._replace(keys=_named(found.keys, share)))
            cost = {key: pc.round(pc.multiply(runs[key], share)) for key in ("flops", "tokens")}
            early = artifacts.conform(_with(_named(runs, share), **cost), "runs")
            all_runs.append(early)
            levels |= dict.fromkeys(early["scale"].unique().to_pylist(), CHECKPOINT)
    return Joined(together(all_losses), pa.concat_tables(all_runs), levels)


def _with(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _named(table: pa.Table, share: float) -> pa.Table:
    """The table with the names of scales after a share of their steps."""
    scales = table["scale"].to_numpy(zero_copy_only=False)
    names, number = np.unique(scales.astype(str), return_inverse=True)
    said = pa.array([loss_stem(name, share) for name in names])
    return _with(table, scale=said.take(pa.array(number)))
