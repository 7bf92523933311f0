"""Which regression foretells losses of mixtures best? Draws few of a table's mixtures.

    python tests/benchmarks/bench_mixtures.py weights.csv losses.csv --recipe index \
        [--test-weights more.csv --test-losses more.csv]

A row a mixture in both tables, all columns but the recipe's are shares or losses. Fits are of n =
16, 32, 64, 128 … random mixtures; told are Spearman and the root mean square error over the sd of
the mixtures left out (or of the test tables), means over losses and draws. RegMix's own LightGBM
takes part if it is installed; it is constant below 40 mixtures.

- gp: `statistics.mixture_model`
- linear, log_linear: least squares of L and of log L on the shares, as `mixture_regression` has it
- offset: log (L − c) linear in the shares, a c for each loss, the form of Olmix; a ridge draws the
  slopes to 0, as there are fewer mixtures than it is made for. (Olmix's KL penalty is on the
  mixture that is proposed, and changes no prediction.)
- lightgbm: RegMix's settings (2407.01492)
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import optimize, stats

from proxyscale.statistics import mixture_model

Regression = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def gp(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    return mixture_model.predicted_losses([mixture_model.fit(x, y)], new)[:, 0]


def linear(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    return new @ np.linalg.lstsq(x, y, rcond=None)[0]


def log_linear(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.exp(linear(x, np.log(y), new))


def offset(x: np.ndarray, y: np.ndarray, new: np.ndarray, ridge: float = 1e-3) -> np.ndarray:
    """L = c + exp(t·w), c from 0 to the least loss, by L-BFGS on squares of log (L − c)."""

    def fitted(share: float) -> tuple[float, np.ndarray]:
        target = np.log(y - share * y.min())
        centre = x.mean(axis=0)
        design = x - centre
        slope = np.linalg.solve(
            design.T @ design + ridge * len(x) * np.eye(x.shape[1]),
            design.T @ (target - target.mean()),
        )
        back = share * y.min() + np.exp(target.mean() + design @ slope)
        full = share * y.min() + np.exp(target.mean() + (new - centre) @ slope)
        return float(((back - y) ** 2).mean()), full

    best = optimize.minimize_scalar(
        lambda share: fitted(share)[0], bounds=(0, 0.99), method="bounded"
    )
    return fitted(best.x)[1]


def lightgbm(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    import lightgbm as library

    model = library.LGBMRegressor(
        num_iterations=1000, seed=42, learning_rate=1e-2, num_leaves=31, verbosity=-1
    )
    return np.asarray(model.fit(x, y).predict(new))


REGRESSIONS: dict[str, Regression] = {
    "gp": gp,
    "linear": linear,
    "log_linear": log_linear,
    "offset": offset,
}
if importlib.util.find_spec("lightgbm"):
    REGRESSIONS["lightgbm"] = lightgbm


def read(weights: str, losses: str, recipe: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares and losses of the recipes that both tables have."""
    shares, lost = (pd.read_csv(path).set_index(recipe) for path in (weights, losses))
    both = shares.index.intersection(lost.index)
    x = shares.loc[both].to_numpy(float)
    return x / x.sum(axis=1, keepdims=True), lost.loc[both].to_numpy(float)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("losses")
    parser.add_argument("--recipe", default="recipe")
    parser.add_argument("--test-weights")
    parser.add_argument("--test-losses")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--sizes", type=int, nargs="*", default=[16, 32, 64, 128])
    args = parser.parse_args()
    x, y = read(args.weights, args.losses, args.recipe)
    apart = None
    if args.test_weights:
        apart = read(args.test_weights, args.test_losses, args.recipe)
    print(f"{len(x)} mixtures, {x.shape[1]} sources, {y.shape[1]} losses")
    for n in args.sizes:
        for name, regression in REGRESSIONS.items():
            found, started = [], time.process_time()
            for draw in range(args.draws):
                order = np.random.default_rng(5000 * n + draw).permutation(len(x))
                rows, rest = order[:n], order[n:]
                new, truth = apart if apart else (x[rest], y[rest])
                found.append(scores(regression, x[rows], y[rows], new, truth))
            spent = (time.process_time() - started) / args.draws
            rank, error = np.mean(found, axis=0)
            print(f"n {n:4d}  {name:10s}  Spearman {rank:.3f}  nRMSE {error:.3f}  {spent:.2f} s")


def scores(
    regression: Regression, x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray
) -> tuple[float, float]:
    """Spearman and normalized error, means over losses."""
    rank, error = [], []
    for column, actual in zip(y.T, truth.T, strict=True):
        foretold = regression(x, column, new)
        flat = np.ptp(foretold) == 0
        rank.append(0.0 if flat else stats.spearmanr(foretold, actual).statistic)
        error.append(np.sqrt(((foretold - actual) ** 2).mean()) / actual.std())
    return float(np.mean(rank)), float(np.mean(error))


if __name__ == "__main__":
    main()
