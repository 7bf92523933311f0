"""Whether training on selected distributions lowers the loss of the task they are selected for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from proxyscale.statistics.grid import read_grid

Row = dict[str, Any]


def effects(
    losses: pa.Table,
    runs: pa.Table,
    *,
    selected: Mapping[str, str],
    baseline: str,
    confidence: float = 0.95,
) -> list[Row]:
    """Does selection lower its task's loss? A row per selected distribution and scale.

    `selected`: distribution → task. `gain` is the loss after training on the `baseline` less the
    distribution's own, in nats per token: positive helps. Its interval is Student's, from the
    variance between runs pooled over the grid's distributions (draws and seeds alike); `verdict`
    says whether it leaves out 0. NaN where no distribution has two runs.
    """
    grid = read_grid(losses, runs)
    rows = []
    for name, task in selected.items():
        means, counts = grid.means(task), grid.counts
        variances, degrees = grid.noise(task)
        own, random = (grid.distributions.index(d) for d in (name, baseline))
        for scale, label in enumerate(grid.scales):
            gain = float(means[scale, random] - means[scale, own])
            share = 1 / counts[scale, own] + 1 / counts[scale, random]
            free = int(degrees[scale])
            quantile = stats.t.ppf((1 + confidence) / 2, free) if free else np.nan
            half = float(quantile * np.sqrt(variances[scale] * share))
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
                    "run_sd": float(np.sqrt(variances[scale])),
                    "verdict": _verdict(gain - half, gain + half),
                }
            )
    return rows


def _verdict(low: float, high: float) -> str:
    return "helps" if low > 0 else "harms" if high < 0 else "undecided"
