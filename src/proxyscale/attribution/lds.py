"""The linear datamodeling score (LDS): do attribution scores foretell what a subset does?

For a test example z and m random training subsets S_i, LDS is Spearman's correlation over the
subsets between the true output f(z; θ(S_i)) and the predicted one Σ_{k∈S_i} τ(z)_k; over test
examples it is averaged. Park et al., TRAK (arXiv 2303.14186), section 2.

Class counts confound it: where subsets differ in how many examples they hold of a class, a bare
same-class indicator scores high. Hence stratified subsets, and that indicator as a baseline.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.floating]


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


def stratified_subset(
    labels: NDArray[np.integer], draw: int, *, fraction: float, seed: int
) -> Array:
    """Subset number `draw` as an indicator [n]: `fraction` of every class, to one example.

    All subsets hold ⌊fraction · n⌋ examples: places left over by rounding down go to classes
    drawn by lot among those with the larger remainders. A subset depends on (seed, draw) alone.
    """
    rng = np.random.default_rng([seed, draw])
    classes, sizes = np.unique(labels, return_counts=True)
    quotas = np.floor(fraction * sizes).astype(int)
    remainder = fraction * sizes - quotas
    order = np.lexsort((rng.random(len(classes)), -remainder))
    quotas[order[: int(fraction * len(labels)) - quotas.sum()]] += 1
    mask = np.zeros(len(labels))
    for name, quota in zip(classes, quotas, strict=True):
        mask[rng.choice(np.flatnonzero(labels == name), quota, replace=False)] = 1
    return mask


def same_class(train: NDArray[np.integer], test: NDArray[np.integer]) -> Array:
    """The baseline that knows labels alone: 1 where classes are equal, [t, n]."""
    return np.asarray((test[:, None] == train[None, :]).astype(float))


def truth(losses: pa.Table, column: str = "margin") -> tuple[Array, Array, Array]:
    """A `losses` table of one scale, distribution and task as (outputs, draws, examples).

    `outputs` [seeds, m, t] holds `column` with draws and examples ascending; every draw must have
    the same seeds, in any order, else ValueError.
    """
    keys = [(name, "ascending") for name in ("seed", "draw", "example")]
    ordered = losses.sort_by(keys)
    seeds, draws, examples = (pc.unique(ordered[name]).sort() for name, _ in keys)
    shape = len(seeds), len(draws), len(examples)
    if len(ordered) != np.prod(shape):
        raise ValueError(f"{len(ordered)} losses are not {shape} seeds × draws × examples")
    outputs = ordered[column].to_numpy().astype(float).reshape(shape)
    return outputs, draws.to_numpy(), examples.to_numpy()


def per_example(scores: Array, masks: Array, outputs: Array) -> Array:
    """LDS of each test example, [t]: scores [t, n], masks [m, n], outputs [m, t].

    Outputs are averaged over seeds before; a constant prediction has LDS 0.
    """
    return _correlations(_ranks(masks @ scores.T), _ranks(outputs))


def lds(scores: Array, masks: Array, outputs: Array, **bootstrap: int | float) -> Estimate:
    """Mean LDS over test examples with a bootstrap interval over subsets (see `interval`)."""
    return interval(masks @ scores.T, outputs, **bootstrap)  # type: ignore[arg-type]


def interval(
    predicted: Array,
    outputs: Array,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Mean over test examples of Spearman's correlation over subsets, with its interval.

    `predicted` and `outputs` are [m, t]. The interval is normal, with the standard error of a
    bootstrap over subsets, which all test examples share: the percentile interval is shifted,
    because the ties of a resample change rank correlations.
    """
    value = float(_correlations(_ranks(predicted), _ranks(outputs)).mean())
    left, right = _Ranking(predicted), _Ranking(outputs)
    rng = np.random.default_rng(seed)
    count = len(outputs)
    values = np.empty(resamples)
    for index in range(resamples):
        weights = rng.multinomial(count, np.full(count, 1 / count)).astype(float)
        values[index] = _correlations(left.ranks(weights), right.ranks(weights), weights).mean()
    reach = float(stats.norm.ppf((1 + confidence) / 2) * values.std(ddof=1))
    return Estimate(value, value - reach, value + reach)


def jackknife(scores: Array, masks: Array, outputs: Array, *, confidence: float = 0.95) -> Estimate:
    """LDS of the mean of several models' scores [models, t, n], with its interval over models.

    Each model is left out in turn; a bootstrap over models would be biased, for a resample
    averages fewer distinct models. Student's t with models − 1 degrees of freedom.
    """
    models = len(scores)
    total = scores.sum(0)
    value = float(per_example(total, masks, outputs).mean())
    without = np.array([per_example(total - one, masks, outputs).mean() for one in scores])
    error = np.sqrt((models - 1) * without.var())
    reach = float(stats.t.ppf((1 + confidence) / 2, models - 1) * error)
    return Estimate(value, value - reach, value + reach)


def retraining_agreement(outputs: Array) -> float:
    """r₁: mean over test examples and pairs of seeds of Spearman over subsets, [seeds, m, t]."""
    ranks = [_ranks(one) for one in outputs]
    pairs = [
        _correlations(ranks[first], ranks[second]).mean()
        for second in range(len(ranks))
        for first in range(second)
    ]
    return float(np.mean(pairs))


def ceiling(agreement: float, seeds: int) -> float:
    """The LDS of a perfect predictor against a truth averaged over `seeds`: √(s·r₁/(1+(s−1)·r₁)).

    Spearman's (1904) attenuation with the Spearman–Brown formula; 0 where retrainings do not agree.
    """
    reliability = seeds * agreement / (1 + (seeds - 1) * agreement)
    return float(np.sqrt(max(reliability, 0.0)))


def _ranks(values: Array) -> Array:
    """Average ranks down the columns of [m, t]."""
    return np.asarray(stats.rankdata(values, axis=0))


def _correlations(left: Array, right: Array, weights: Array | None = None) -> Array:
    """Weighted Pearson correlation of each pair of columns of [m, t]; 0 where one is constant."""
    if weights is None:
        weights = np.ones(len(left))
    share = weights / weights.sum()
    left, right = left - share @ left, right - share @ right
    scale = np.sqrt((share @ left**2) * (share @ right**2))
    zeros = np.zeros(left.shape[1])
    return np.asarray(np.divide(share @ (left * right), scale, out=zeros, where=scale > 1e-12))


class _Ranking:
    """Columns sorted once, so that a resample's average ranks cost a cumulative sum."""

    def __init__(self, values: Array) -> None:
        self.order = values.argsort(axis=0, kind="stable")
        ordered = np.take_along_axis(values, self.order, 0)
        changed = np.vstack([np.ones((1, values.shape[1]), bool), ordered[1:] != ordered[:-1]])
        place = np.arange(len(values))[:, None]
        self.first = np.maximum.accumulate(np.where(changed, place, 0), axis=0)
        closed = np.vstack([changed[1:], np.ones((1, values.shape[1]), bool)])
        last = np.where(closed, place, len(values) - 1)
        self.last = np.minimum.accumulate(last[::-1], axis=0)[::-1]

    def ranks(self, weights: Array) -> Array:
        """Average ranks [m, t] of the sample that holds row i `weights[i]` times."""
        sums = np.vstack([np.zeros((1, self.order.shape[1])), weights[self.order].cumsum(axis=0)])
        below = np.take_along_axis(sums, self.first, 0)
        upto = np.take_along_axis(sums, self.last + 1, 0)
        ranks = np.empty(self.order.shape)
        np.put_along_axis(ranks, self.order, (below + upto + 1) / 2, 0)
        return ranks
