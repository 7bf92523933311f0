"""CPU seconds of `summarize` on 120 runs × 6 tasks × 700 examples, beside a pandas loop.

Run as a script: python tests/benchmarks/bench_statistics.py
"""

from __future__ import annotations

import itertools
import time

import numpy as np
import pyarrow as pa
from scipy import stats

from proxyscale.base import artifacts
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import summarize

SCALES, DISTRIBUTIONS, SEEDS, TASKS, EXAMPLES = 6, 10, 2, 6, 700


def study() -> tuple[pa.Table, pa.Table]:
    """Random losses of a grid of the default study's size."""
    rng = np.random.default_rng(0)
    keys = list(itertools.product(range(SCALES), range(DISTRIBUTIONS), range(SEEDS)))
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


def naive(losses: pa.Table) -> int:
    """Per-example R² by pandas' pivot and one scipy call per example: what one writes first."""
    frame = losses.select(["scale", "distribution", "task", "example", "loss"]).to_pandas()
    keys = ["scale", "task", "example", "distribution"]
    means = frame.groupby(keys, sort=True)["loss"].mean().unstack("distribution")
    count = 0
    for scale in range(SCALES - 1):
        small, large = means.loc[f"s{scale}"], means.loc[f"s{SCALES - 1}"]
        for x, y in zip(small.to_numpy(), large.to_numpy(), strict=True):
            count += stats.pearsonr(x, y)[0] ** 2 >= 0
    return count


def main() -> None:
    losses, runs = study()
    start = time.process_time()
    rows = len(summarize(read_grid(losses, runs), reference=f"s{SCALES - 1}", groups={}))
    ours = time.process_time() - start
    start = time.process_time()
    naive(losses)
    theirs = time.process_time() - start
    print(f"{'':24}{'CPU s':>8}{'ratio':>8}")
    print(f"{f'summarize, {rows} rows':24}{ours:8.2f}{1:8.1f}")
    print(f"{'per-example R² alone':24}{theirs:8.2f}{theirs / ours:8.1f}")


if __name__ == "__main__":
    main()
