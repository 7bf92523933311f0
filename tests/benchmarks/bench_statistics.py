"""`summarize`, with reading of tables, beside a pandas loop for R² of single examples alone."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from scipy import stats
from timing import Row, compared, in_turns

from proxyscale.base import artifacts
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import summarize

TASKS, EXAMPLES = 6, 700
SIZES = {"default": (6, 10, 2), "200 distributions": (5, 200, 2)}  # scales, distributions, seeds


def study(scales: int, distributions: int, seeds: int) -> tuple[pa.Table, pa.Table]:
    """Random losses of a grid."""
    rng = np.random.default_rng(0)
    keys = list(itertools.product(range(scales), range(distributions), range(seeds)))
    rows = len(keys) * TASKS * EXAMPLES
    each = np.repeat(np.arange(len(keys)), TASKS * EXAMPLES)
    columns = {
        "scale": np.array([f"s{s}" for s, _, _ in keys])[each],
        "distribution": np.array([f"d{d}" for _, d, _ in keys])[each],
        "draw": np.zeros(rows, int),
        "seed": np.array([seed for _, _, seed in keys])[each],
        "task": np.tile(np.repeat([f"t{t}" for t in range(TASKS)], EXAMPLES), len(keys)),
        "example": np.tile(np.arange(EXAMPLES), len(keys) * TASKS),
        "loss": rng.normal(3, 1, rows),
    }
    runs = [
        {
            "scale": f"s{s}",
            "distribution": f"d{d}",
            "draw": 0,
            "seed": seed,
            "role": "grid",
            "flops": 10.0**s,
        }
        for s, d, seed in keys
    ]
    losses = artifacts.conform(pa.table(columns), "losses")
    return losses, artifacts.conform(pa.Table.from_pylist(runs), "runs")


def naive(losses: pa.Table, scales: int) -> int:
    """Per-example R² by pandas' pivot and one scipy call per example: what one writes first."""
    frame = losses.select(["scale", "distribution", "task", "example", "loss"]).to_pandas()
    keys = ["scale", "task", "example", "distribution"]
    means = frame.groupby(keys, sort=True)["loss"].mean().unstack("distribution")
    count = 0
    for scale in range(scales - 1):
        small, large = means.loc[f"s{scale}"], means.loc[f"s{scales - 1}"]
        for x, y in zip(small.to_numpy(), large.to_numpy(), strict=True):
            count += stats.pearsonr(x, y)[0] ** 2 >= 0
    return count


def measured(rounds: int) -> Iterator[Row]:
    """Losses a second, of a study like the default one and of one that is larger."""
    for name, (scales, distributions, seeds) in SIZES.items():
        losses, runs = study(scales, distributions, seeds)
        last = f"s{scales - 1}"

        def own(losses: pa.Table = losses, runs: pa.Table = runs, last: str = last) -> object:
            return summarize(read_grid(losses, runs), reference=last, groups={})

        loop = functools.partial(naive, losses, scales)
        seconds = in_turns(rounds, own, loop) if name == "default" else in_turns(1, own)
        peers = ["pandas and scipy"][: len(seconds) - 1]
        yield from compared(f"statistics, {name}", "losses", len(losses), seconds, peers)
