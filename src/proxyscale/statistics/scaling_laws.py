"""Predicting the reference from several proxies, or from mixture weights: what to compare with.

The baselines are those of DataDecide (2504.11393, §3.3: scaling laws per recipe), of the
loss-to-loss laws (2411.12925) and of RegMix (2407.01492: regression from weights to loss). All
yield rows of the statistics table; a law is named as the proxy, `law3:xxs+xs+s`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base.errors import UserError
from proxyscale.statistics import intervals, rank_intervals
from proxyscale.statistics.grid import LEAST, Array, Grid
from proxyscale.statistics.measures import correlations, decisions
from proxyscale.statistics.proxy_statistics import as_table, group_members, members_of_part
from proxyscale.statistics.regrets import pick

EXPONENTS = np.geomspace(1e-3, 3, 400)


def extrapolate(
    grid: Grid,
    *,
    reference: str,
    groups: Mapping[str, Sequence[str]],
    confidence: float = 0.95,
) -> pa.Table:
    """Decision accuracy of each law through the 2, 3, … smallest proxies, at their summed compute.

    Laws are fitted to all distributions and judged among all and among those of each named group,
    over the scales that every task has (`Grid.joint_parts`): `law2` from two proxies on, `law3`
    from three, `loss_to_loss` from two, the last at the price of one distribution's reference run.
    Tasks with a value that is not positive (a negated metric) follow no power law and are left out,
    as is a scale of the compute of one named before it. UserError where compute is unknown.
    """
    if not np.isfinite(grid.flops).all():
        unknown = [s for s, f in zip(grid.scales, grid.flops, strict=True) if np.isnan(f)]
        raise UserError(f"no compute is known for {', '.join(unknown)}", where="runs: flops")
    rows: list[dict[str, Any]] = []
    whole = group_members(grid, groups)
    for part in grid.joint_parts(reference):
        members = members_of_part(part, grid, whole)
        last = part.index(reference)
        known = [i for i, name in enumerate(part.scales) if name not in grid.variants]
        smaller = [i for i in known if i != last]
        rows += [
            row
            for task in part.tasks
            if (part.means(task) > 0).all()
            for count in range(2, len(smaller) + 1)
            for row in _law_rows(part, task, members, smaller[:count], last, confidence)
        ]
    return as_table(rows)


def _law_rows(
    grid: Grid,
    task: str,
    members: Mapping[str, Array],
    proxies: list[int],
    last: int,
    confidence: float,
) -> Iterator[dict[str, Any]]:
    """One row per group and law that has enough proxies; laws are fitted to all distributions."""
    means, n = grid.means(task), len(grid.distributions)
    compute, target = grid.flops[proxies], grid.flops[last]
    total = compute.sum()
    anchor = int(np.argsort(means[proxies[-1]], kind="stable")[n // 2])
    others = np.delete(np.arange(n), anchor)
    predictions = {
        "law2": (power_law(compute, means[proxies], target), total, np.arange(n)),
        # the anchor's own loss is known, not predicted: pairs with it do not count
        "loss_to_loss": (
            loss_to_loss(means[proxies], anchor, means[last, anchor])[others],
            total + target / n,
            others,
        ),
    }
    if len(proxies) > 2:
        predictions["law3"] = (scaling_law(compute, means[proxies], target), total, np.arange(n))
    for law, (predicted, spent, of) in predictions.items():
        place = {
            "statistic": "decision_accuracy",
            "level": "distribution",
            "task": task,
            "proxy": f"{law}:{'+'.join(grid.scales[i] for i in proxies)}",
            "reference": grid.scales[last],
            "compute_ratio": float(target / spent),
        }
        for group, chosen in members.items():
            kept = np.isin(of, chosen)
            if len(chosen) >= LEAST:
                found = decisions(predicted[kept], means[last, of[kept]])
                told = np.asarray(found.accuracy), int(kept.sum()), confidence, found.pairs
                low, high = map(float, intervals.decision_interval(*told))
                ends = {"value": found.accuracy, "low": low, "high": high, "n": told[1]}
                yield place | {"group": group} | ends


def power_law(compute: Array, losses: Array, target: float) -> Array:
    """L = A·C^-α per recipe, least squares in logarithms, at `target` compute.

    `compute` [scales], `losses` [scales, recipes], positive → [recipes].
    """
    x = np.log(compute / target)
    return np.exp(_lines(x[:, None], np.log(losses))[1])


def scaling_law(compute: Array, losses: Array, target: float) -> Array:
    """L = E + A·C^-α per recipe, E ≥ 0, A ≥ 0: least squares of L, at `target` compute.

    For each exponent of a fixed grid E and A follow in closed form (variable projection); the best
    exponent is each recipe's own. `compute` [scales], `losses` [scales, recipes] → [recipes].
    """
    basis = (compute / target)[None, :] ** -EXPONENTS[:, None]  # [exponents, scales]; 1 at target
    b, y = basis[:, :, None], losses[None]
    slope, intercept = _lines(b, y, axis=1)
    through_zero = (b * y).sum(axis=1) / (b * b).sum(axis=1)
    slope = np.where(intercept < 0, through_zero, slope)
    intercept = np.maximum(intercept, 0)
    flat = slope < 0  # a loss that grows with compute is best fitted by its mean
    intercept, slope = np.where(flat, y.mean(axis=1), intercept), np.maximum(slope, 0)
    errors = ((intercept[:, None] + slope[:, None] * b - y) ** 2).sum(axis=1)
    best = np.argmin(errors, axis=0)
    recipes = np.arange(losses.shape[1])
    predicted: Array = (intercept + slope)[best, recipes]
    return predicted


def loss_to_loss(losses: Array, anchor: int, reference: float) -> Array:
    """L = K·L_anchor^κ per recipe, in logarithms through the proxies, at the anchor's `reference`.

    The anchor is the one recipe that is trained at the reference. Shifts are left out: they cannot
    be told from a few scales. `losses` [scales, recipes] → [recipes].
    """
    x = np.log(losses[:, anchor] / reference)
    return np.exp(_lines(x[:, None], np.log(losses))[1])


def _lines(x: Array, y: Array, axis: int = 0) -> tuple[Array, Array]:
    """Least-squares slope and intercept along an axis; slope 0 where x is constant."""
    centered = x - x.mean(axis=axis, keepdims=True)
    square = (centered**2).sum(axis=axis)
    product = (centered * y).sum(axis=axis)
    slope = np.where(square > 0, product / np.where(square > 0, square, 1), 0.0)
    return slope, y.mean(axis=axis) - slope * x.mean(axis=axis)


def mixture_regression(
    weights: Mapping[str, Sequence[float]],
    grid: Grid,
    *,
    reference: str,
    groups: Mapping[str, Sequence[str]],
    confidence: float = 0.95,
) -> pa.Table:
    """Regress each scale's loss on mixture weights; is its best mixture the reference's?

    `weights` maps each distribution to its share of every source. Predictions are leave-one-out,
    from all other distributions; they are judged among all and among those of each named group.
    For each proxy: `mixture_{form}_spearman` (predicted against the reference's losses) and
    `mixture_{form}_regret` (nats lost by the mixture predicted best; 0 if it is the reference's
    best), form being `linear` or, for positive losses, `log_linear`; the same after `reference_`
    from the reference's own losses. UserError if a distribution has no weights or if there are
    fewer of them than sources.
    """
    whole = group_members(grid, groups)
    return as_table(
        [
            row
            for part in grid.parts(reference)
            for row in _part(
                part, weights, members_of_part(part, grid, whole), reference, confidence
            )
        ]
    )


def _part(
    grid: Grid,
    weights: Mapping[str, Sequence[float]],
    members: Mapping[str, Array],
    reference: str,
    confidence: float,
) -> Iterator[dict[str, Any]]:
    """Rows of every proxy, task and group of a grid without holes."""
    design = _design(grid, weights)
    last = grid.index(reference)
    for task in grid.tasks:
        means = grid.means(task)
        for number, (scale, ratio) in enumerate(
            zip(grid.scales, grid.compute_ratios(reference), strict=True)
        ):
            place = {
                "level": "distribution",
                "task": task,
                "proxy": scale,
                "reference": reference,
                "compute_ratio": ratio,
            }
            for whose, source in (("", number), ("reference_", last)) if number != last else ():
                for form, predicted in _predictions(design, means[source]).items():
                    name = f"{whose}mixture_{form}"
                    for group, chosen in members.items():
                        here = place | {"group": group, "n": len(chosen)}
                        if len(chosen) >= LEAST:
                            rows = _mixture_rows(
                                name, predicted[chosen], means[last, chosen], confidence
                            )
                            yield from (here | row for row in rows)


def _predictions(design: Array, losses: Array) -> dict[str, Array]:
    """What each form of the regression on one scale's losses foretells, in an order of losses."""
    forms = {"linear": losses}
    if (losses > 0).all():
        forms["log_linear"] = np.log(losses)
    return {form: leave_one_out_predictions(design, target) for form, target in forms.items()}


def _mixture_rows(
    name: str, predicted: Array, actual: Array, confidence: float
) -> Iterator[dict[str, Any]]:
    """How predictions order the reference's losses, and what the mixture predicted best loses."""
    value = correlations(predicted, actual)["spearman"]
    ratio = float(intervals.variance_ratio(predicted, actual))
    low, high = rank_intervals.spearman_interval(value, len(actual), confidence, ratio)
    yield {"statistic": f"{name}_spearman", "value": value, "low": low, "high": high}
    lost = actual[pick(predicted)] - actual.min()
    yield {"statistic": f"{name}_regret", "value": float(lost)}


def _design(grid: Grid, weights: Mapping[str, Sequence[float]]) -> Array:
    """Weights in the grid's order: [distributions, sources]."""
    for distribution in grid.distributions:
        if distribution not in weights:
            raise UserError("no weights for a distribution", where="mixture", value=distribution)
    design = np.array([weights[name] for name in grid.distributions], dtype=float)
    if len(design) <= np.linalg.matrix_rank(design):
        raise UserError(
            f"{len(design)} mixtures cannot fix the effect of {design.shape[1]} sources",
            where="mixture",
            hint="train more mixtures than there are sources",
        )
    return design


def leave_one_out_predictions(design: Array, y: Array) -> Array:
    """Least-squares prediction of each row of `y` from all others: y − e/(1 − h).

    No intercept: weights that sum to one hold it. A mixture that alone fixes an effect (h = 1)
    gets the mean of the others.
    """
    inverse = np.linalg.pinv(design)
    residual = y - design @ (inverse @ y)
    free = 1 - (design * inverse.T).sum(axis=1)
    others = (y.sum() - y) / (len(y) - 1)
    return np.where(free > 1e-9, y - residual / np.where(free > 1e-9, free, 1), others)
