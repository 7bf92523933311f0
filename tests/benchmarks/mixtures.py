"""Which regression foretells losses of mixtures best, and picks the best one? Draws few mixtures.

    python tests/benchmarks/mixtures.py [weights.csv losses.csv --recipe index] \
        [--test-weights more.csv --test-losses more.csv]

A row a mixture in both tables, all columns but the recipe's are shares or losses. Without tables
it takes RegMix's, if PROXYSCALE_DATA holds them, else losses that follow a law. Fits are of n = 16,
32, 64, 128 random mixtures. Of the mixtures left out (or of the test tables) it tells Spearman and
the root mean square error over the sd, means over losses and draws, and what the pick by the mean
of the losses loses to the best, in sd of that mean. RegMix's own LightGBM takes part if it is
installed (`make bench` does); it is constant below 40 mixtures.

- gp: `statistics.mixture_model`
- linear, log_linear: least squares of L and of log L on the shares, as `mixture_regression` has it
- olmix: L = e^c + e^(t·w), least squares by Huber's loss (δ = .02) from several starts, of which
  the best in the sample counts; it picks by the mean of the losses and .1 times the KL divergence
  from the mean of the mixtures (Olmix: github.com/allenai/olmix, `log_linear` and `kl_reg`)
- lightgbm: RegMix's settings (2407.01492), without its early stopping on the test set
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from proxyscale.statistics import mixture_model

sys.path.insert(0, str(Path(__file__).parents[1]))

Regression = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Table = tuple[np.ndarray, np.ndarray]
KL = {"olmix": 0.1}  # of the mixture that is picked
STARTS = np.linspace(-2, 1.5, 10)


def gp(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    return mixture_model.predicted_losses([mixture_model.fit(x, y)], new)[:, 0]


def linear(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    return new @ np.linalg.lstsq(x, y, rcond=None)[0]


def log_linear(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.exp(linear(x, np.log(y), new))


def olmix(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(42)

    def off(theta: np.ndarray) -> np.ndarray:
        return np.exp(theta[0]) + np.exp(x @ theta[1:]) - y

    def slope(theta: np.ndarray) -> np.ndarray:
        grown = np.exp(x @ theta[1:])
        return np.column_stack([np.full(len(x), np.exp(theta[0])), grown[:, None] * x])

    starts = [np.append(c, rng.uniform(-0.1, 0.1, x.shape[1])) for c in STARTS]
    kept = {"jac": slope, "loss": "huber", "f_scale": 0.02, "max_nfev": 100}
    found = [optimize.least_squares(off, start, **kept) for start in starts]
    best = min(found, key=lambda one: one.cost).x
    return np.exp(best[0]) + np.exp(new @ best[1:])


def lightgbm(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    import lightgbm as library

    settings = {"objective": "regression", "seed": 42, "learning_rate": 1e-2, "verbosity": -1}
    return np.asarray(library.train(settings, library.Dataset(x, y), 1000).predict(new))


REGRESSIONS: dict[str, Regression] = {
    "gp": gp,
    "linear": linear,
    "log_linear": log_linear,
    "olmix": olmix,
}
if importlib.util.find_spec("lightgbm"):
    REGRESSIONS["lightgbm"] = lightgbm


def read(weights: str, losses: str, recipe: str) -> Table:
    """Shares and losses of the recipes that both tables have."""
    shares, lost = (pd.read_csv(path).set_index(recipe) for path in (weights, losses))
    both = shares.index.intersection(lost.index)
    x = shares.loc[both].to_numpy(float)
    return x / x.sum(axis=1, keepdims=True), lost.loc[both].to_numpy(float)


def default() -> tuple[Table, Table | None]:
    """RegMix's 512 mixtures and its 256 others, or mixtures whose losses follow a law."""
    if "PROXYSCALE_DATA" in os.environ:
        from support.regmix import mixtures

        return mixtures("train", "1m"), mixtures("test", "1m")
    rng = np.random.default_rng(0)
    helps = np.exp(rng.normal(-3, 1.2, (6, 10)))
    x = rng.dirichlet(np.ones(10), 256)
    y = 2 + 0.4 * (x @ helps.T + 0.02) ** -0.3
    return (x, y * np.exp(0.003 * rng.standard_normal(y.shape))), None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--recipe", default="recipe")
    parser.add_argument("--test-weights")
    parser.add_argument("--test-losses")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--sizes", type=int, nargs="*", default=[16, 32, 64, 128])
    args = parser.parse_args()
    (x, y), apart = default() if not args.tables else (read(*args.tables, args.recipe), None)
    if args.test_weights:
        apart = read(args.test_weights, args.test_losses, args.recipe)
    print(f"{len(x)} mixtures, {x.shape[1]} sources, {y.shape[1]} losses")
    for n in args.sizes:
        for name in REGRESSIONS:
            found, started = [], time.process_time()
            for draw in range(args.draws):
                order = np.random.default_rng(5000 * n + draw).permutation(len(x))
                rows, rest = order[:n], order[n:]
                found.append(scores(name, x[rows], y[rows], *(apart or (x[rest], y[rest]))))
            spent = (time.process_time() - started) / args.draws
            rank, error, lost = np.mean(found, axis=0)
            told = f"Spearman {rank:.3f}  nRMSE {error:.3f}  pick {lost:.2f} sd  {spent:.2f} s"
            print(f"n {n:4d}  {name:10s}  {told}", flush=True)


def scores(
    name: str, x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray
) -> tuple[float, float, float]:
    """Spearman and normalized error, means over losses; what the pick loses to the best."""
    rank, error = [], []
    foretold = np.stack([REGRESSIONS[name](x, column, new) for column in y.T], axis=1)
    for one, actual in zip(foretold.T, truth.T, strict=True):
        rank.append(0.0 if np.ptp(one) == 0 else stats.spearmanr(one, actual).statistic)
        error.append(np.sqrt(((one - actual) ** 2).mean()) / actual.std())
    natural = np.maximum(x.mean(axis=0), 1e-12)
    apart = special.rel_entr(new, natural / natural.sum()).sum(axis=1)
    mean = truth.mean(axis=1)
    liked = foretold.mean(axis=1) + KL.get(name, 0.0) * apart
    picked = mean[liked == liked.min()].mean()  # of equals, any
    return float(np.mean(rank)), float(np.mean(error)), float((picked - mean.min()) / mean.std())


if __name__ == "__main__":
    main()
