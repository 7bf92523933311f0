"""Do the intervals hold on a real population? Draws few recipes from a table of many.

    python tests/benchmarks/population.py 1M=a.csv 60M=b.csv --recipe index \
        --metrics 'metric/*' --reference 60M

Any table that `proxyscale compare` reads, of two scales or more and a few hundred recipes. Each of
its recipes is a member of the population; n = 6, 10, 25 are drawn without replacement, and the
statistic of all recipes is the truth. Told per number and statistic: the coverage of 95 %
intervals, mean over tasks with the standard error that so many draws leave, and the worst task, and
how often the verdict's bounds are false. Tasks share their draws, so that many of them do not make
the error small.
"""

from __future__ import annotations

import argparse
import functools

import numpy as np

from proxyscale.reporting.compare import COSTS, ONE_COLUMN, config_of
from proxyscale.statistics import intervals, rank_distributions, rank_intervals, regrets
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.measures import correlations, decisions
from proxyscale.study.own_runs_study import OwnRunsStudy
from proxyscale.tables.runs import read_outside_runs

SIZES = (6, 10, 25)
LISTS = ("metrics", "higher", "lower", "by", "ignore", *COSTS)
WORDS = ("reference", "recipe", *ONE_COLUMN)
UNSAID = ("results", "trust", "tokens_per_parameter", "scales", "header", "repeats", "pattern")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", nargs="+")
    for word in WORDS:
        parser.add_argument(f"--{word}")
    for word in LISTS:
        parser.add_argument(f"--{word}", action="append", default=[])
    parser.add_argument("--draws", type=int, default=4000)
    args = parser.parse_args()
    said = dict.fromkeys((*UNSAID, "weights", "weights_columns"))
    study = OwnRunsStudy.load(config_of(args.table, said | vars(args)))
    read = read_outside_runs(study.table_files, study.config.runs.model_dump())
    losses, runs = read.losses, read.runs
    grid = read_grid(losses, runs)
    last = grid.index(study.config.reference)
    rank_distributions.interval = functools.cache(rank_distributions.interval)
    for scale, name in enumerate(grid.scales):
        if scale != last:
            each = {t: (grid.means(t)[scale], grid.means(t)[last]) for t in grid.tasks}
            _tell(name, each, args.draws)


def _tell(proxy: str, tasks: dict[str, tuple[np.ndarray, np.ndarray]], draws: int) -> None:
    size = len(next(iter(tasks.values()))[0])
    print(f"{proxy}: {len(tasks)} tasks, {size} recipes, {draws} draws each")
    for n in SIZES:
        found = {task: coverage(*both, n, draws) for task, both in tasks.items()}
        for name in next(iter(found.values())):
            held = {task: row[name] for task, row in found.items() if name in row}
            values = {task: row.mean() for task, row in held.items()}
            bad = max if name.startswith("false") else min
            worst = bad(values, key=values.__getitem__)
            each = np.mean(list(held.values()), axis=0)
            error = each.std(ddof=1) / np.sqrt(draws)
            told = f"mean {each.mean():.3f} ± {error:.3f}  worst {values[worst]:.3f} ({worst})"
            print(f"n={n:<3} {name:<24} {told}", flush=True)


def coverage(x: np.ndarray, y: np.ndarray, n: int, draws: int) -> dict[str, np.ndarray]:
    """Whether the intervals of each draw of n hold the truth, and its bounds are false: [draws]."""
    truth = correlations(x, y) | {"decision_accuracy": decisions(x, y).accuracy}
    rng = np.random.default_rng(n)
    chosen = np.argsort(rng.random((draws, len(x))), axis=1)[:, :n].T
    a, b = x[chosen], y[chosen]  # [n, draws]
    loss = np.mean(b[np.argmin(a, axis=0), np.arange(draws)] - b.min(axis=0))
    values = [correlations(*columns) for columns in zip(a.T, b.T, strict=True)]
    right = np.array([decisions(*columns).accuracy for columns in zip(a.T, b.T, strict=True)])
    ratios = intervals.variance_ratio(a, b)
    ends = {
        "pearson": intervals.pearson_interval(a, b),
        "r2": intervals.r2_interval(a, b),
        "decision_accuracy": intervals.decision_interval(right, n),
    }
    if not np.isnan(truth["r2_log"]):
        ends["r2_log"] = intervals.r2_interval(np.log(a), np.log(b))
    for name, interval in (
        ("spearman", rank_intervals.spearman_interval),
        ("kendall", rank_intervals.kendall_interval),
    ):
        each = zip(values, ratios, strict=True)
        found = [interval(round(v[name], 9), n, ratio=ratio) for v, ratio in each]
        ends[name] = tuple(np.array(found).T)
    held = {
        name: (low - 1e-9 <= truth[name]) & (truth[name] <= high + 1e-9)
        for name, (low, high) in ends.items()
    }
    bound = intervals.decision_bound(right, n)
    held["false trust, decisions"] = bound > truth["decision_accuracy"]
    excluded = [regrets.next_bound(*columns, 0.95) for columns in zip(a.T, b.T, strict=True)]
    held["false trust, regret"] = np.array(excluded) < loss
    return held


if __name__ == "__main__":
    main()
