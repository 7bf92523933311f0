"""Whether training on selected distributions lowers the loss of the task they are selected for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import group_members, scale_noises
from proxyscale.statistics.seed_noise import pools_of

Row = dict[str, Any]


def effects(
    losses: pa.Table,
    runs: pa.Table,
    *,
    selected: Mapping[str, str],
    baseline: str,
    groups: Mapping[str, Sequence[str]] | None = None,
    confidence: float = 0.95,
) -> list[Row]:
    """Does selection lower its task's loss? A row per group, selected distribution and scale.

    `selected`: distribution → task. `gain` is the loss after training on the `baseline` less the
    distribution's own, in nats per token: positive helps. Its interval is Student's with Welch's
    error, from the seed noise of the two (`seed_noise`: of the group `all` that of their groups, of
    another its own, draws and seeds alike); `verdict` says whether it leaves out 0. NaN where
    either's noise is not known. A group has rows of its own distributions, the baseline in it or
    not.
    """
    grid = read_grid(losses, runs)
    members = group_members(grid, groups or {})
    rows = []
    for group, (name, task) in product(members, selected.items()):
        own, random = (grid.distributions.index(d) for d in (name, baseline))
        if own not in members[group]:
            continue
        means, counts = grid.means(task), grid.counts
        noises = scale_noises(grid, task, pools_of(members, group, len(grid.distributions)))
        for scale, label in enumerate(grid.scales):
            gain = float(means[scale, random] - means[scale, own])
            half = float(noises[scale].margin(own, random, confidence))
            rows.append(
                {
                    "group": group,
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
