"""Tables of the selected distributions: what they are made of, and whether they help their task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.data.pool import Pool
from proxyscale.statistics.grid import read_grid
from proxyscale.statistics.proxy_statistics import group_members, scale_noises
from proxyscale.statistics.seed_noise import pools_of

Row = dict[str, Any]


def composition(pool: Path, distributions: Mapping[str, Path]) -> list[Row]:
    """A row per distribution and draw: its size, share of every source, overlap with the others.

    `in:NAME` is the share of its different examples that stand in NAME's first draw, too. Shares
    of a mixture are its weights, to 1 / size.
    """
    opened = Pool.open(pool)
    read = {name: artifacts.read(path, "distribution") for name, path in distributions.items()}
    first = {name: np.unique(_examples(table, 0)) for name, table in read.items()}
    rows = []
    for name, table in read.items():
        for draw in pc.unique(table["draw"]).to_pylist():
            ids = _examples(table, draw)
            different = np.unique(ids)
            counts = np.bincount(opened.source_of(ids), minlength=len(opened.sources))
            row: Row = {"distribution": name, "draw": draw, "examples": len(ids)}
            row["different"] = len(different)
            shares = zip(opened.sources, counts / len(ids), strict=True)
            row |= {source: float(share) for source, share in shares}
            row |= {
                f"in:{other}": float(np.isin(different, theirs).mean())
                for other, theirs in first.items()
            }
            rows.append(row)
    return rows


def _examples(table: pa.Table, draw: int) -> np.ndarray:
    return np.asarray(table.filter(pc.equal(table["draw"], draw))["example"].to_numpy())


def effects(
    losses: pa.Table,
    runs: pa.Table,
    *,
    selected: Mapping[str, str],
    baseline: str,
    groups: Mapping[str, Sequence[str]] | None = None,
    confidence: float = 0.95,
) -> list[Row]:
    """Does selection lower its task's loss? A row per selected distribution and scale.

    `selected`: distribution → task. `gain` is the loss after training on the `baseline` less the
    distribution's own, in nats per token: positive helps. Its interval is Student's with Welch's
    error, from the seed noise of the two (`seed_noise`: that of their groups, draws and seeds
    alike); `verdict` says whether it leaves out 0. NaN where either's noise is not known.
    """
    grid = read_grid(losses, runs)
    count = len(grid.distributions)
    pools = pools_of(group_members(grid, groups or {}), "all", count)
    rows = []
    for name, task in selected.items():
        means, counts = grid.means(task), grid.counts
        noises = scale_noises(grid, task, pools)
        own, random = (grid.distributions.index(d) for d in (name, baseline))
        for scale, label in enumerate(grid.scales):
            gain = float(means[scale, random] - means[scale, own])
            half = float(noises[scale].margin(own, random, confidence))
            rows.append(
                {
                    "distribution": name,
                    "task": task,
                    "scale": label,
                    "runs": int(counts[scale, own]),
                    "loss": float(means[scale, own]),
                    f"loss_{baseline}": float(means[scale, random]),
                    "gain": gain,
                    "low": gain - half,
                    "high": gain + half,
                    "run_sd": float(np.sqrt(noises[scale].variances[own])),
                    "verdict": _verdict(gain - half, gain + half),
                }
            )
    return rows


def _verdict(low: float, high: float) -> str:
    return "helps" if low > 0 else "harms" if high < 0 else "undecided"
