"""Datamodels by regression: outputs after training on subsets, explained by who was in them.

Ilyas et al., Datamodels (arXiv 2202.00622), algorithm 1. All test examples are fitted at once and
share one factorization of the subsets' design; every test example has a penalty of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

RELAXATION = 1.6  # over-relaxation of ADMM; 1.5 to 1.8 is the usual range (Boyd et al. 2011, 3.4.3)


class Datamodel(NamedTuple):
    """Linear models of t outputs in n training examples."""

    coefficients: Array  # [t, n]
    intercepts: Array  # [t]
    penalties: Array  # [t], the one chosen for each output

    def predict(self, masks: Array) -> Array:
        """Outputs [m, t] after training on the subsets `masks` [m, n]."""
        return masks @ self.coefficients.T + self.intercepts


def ridge(masks: Array, outputs: Array, penalties: Array) -> Datamodel:
    """Datamodels with a squared penalty, chosen for each output by leave-one-out error.

    `masks` [m, n] are the subsets' indicators, `outputs` [m, t]. Minimizes
    ‖y − Xβ − b‖² + λ‖β‖² (scikit-learn's scale of λ) over b and β, for every λ of `penalties`
    from one singular value decomposition; leave-one-out residuals are exact.
    """
    design, target = masks - masks.mean(0), outputs - outputs.mean(0)
    left, sizes, right = np.linalg.svd(design, full_matrices=False)
    rotated = left.T @ target
    errors = np.empty((len(penalties), target.shape[1]))
    for row, penalty in enumerate(penalties):
        shrink = sizes**2 / (sizes**2 + penalty)
        leverage = 1 / len(design) + (left**2) @ shrink
        residual = target - left @ (shrink[:, None] * rotated)
        errors[row] = ((residual / (1 - leverage)[:, None]) ** 2).mean(0)
    chosen = np.asarray(penalties, float)[errors.argmin(0)]
    shrink = sizes[:, None] / (sizes[:, None] ** 2 + chosen)
    return _with_intercepts(masks, outputs, (right.T @ (shrink * rotated)).T, chosen)


def lasso(
    masks: Array, outputs: Array, *, penalties: int = 20, smallest: float = 0.01, folds: int = 5
) -> Datamodel:
    """Datamodels with an L1 penalty, chosen for each output by cross-validation.

    `masks` [m, n] are the subsets' indicators, `outputs` [m, t]. Minimizes
    ‖y − Xβ − b‖² / 2m + λ‖β‖₁ (scikit-learn's scale of λ). The grid of an output has `penalties`
    values, geometric from the least λ that leaves nothing down to `smallest` of it; `folds`
    contiguous folds, so subsets must be independent draws.
    """
    grid = largest_penalties(masks, outputs) * np.geomspace(1, smallest, penalties)[:, None]
    errors = np.zeros(grid.shape)
    for held in np.array_split(np.arange(len(masks)), folds):
        kept = np.setdiff1d(np.arange(len(masks)), held)
        paths = _solve(masks[kept], outputs[kept], grid, tolerance=1e-4)
        offset = outputs[kept].mean(0) - paths @ masks[kept].mean(0)
        predicted = paths @ masks[held].T + offset[:, :, None]
        errors += ((predicted - outputs[held].T) ** 2).mean(2) / folds
    chosen = np.take_along_axis(grid, errors.argmin(0)[None], 0)
    return _with_intercepts(masks, outputs, _solve(masks, outputs, chosen)[0], chosen[0])


def largest_penalties(masks: Array, outputs: Array) -> Array:
    """For each output the least L1 penalty at which every coefficient is zero: [t]."""
    design, target = masks - masks.mean(0), outputs - outputs.mean(0)
    return np.asarray(np.abs(design.T @ target).max(0) / len(masks))


def _with_intercepts(
    masks: Array, outputs: Array, coefficients: Array, penalties: Array
) -> Datamodel:
    intercepts = outputs.mean(0) - coefficients @ masks.mean(0)
    return Datamodel(coefficients, intercepts, penalties)


def _solve(
    masks: Array, outputs: Array, penalties: Array, *, tolerance: float = 1e-7, limit: int = 5000
) -> Array:
    """Lasso coefficients [penalties, t, n] for `penalties` [penalties, t], by ADMM.

    All outputs and penalties share one inverse (Boyd et al. 2011, section 6.4). Ends when both
    residuals are below `tolerance` of the largest coefficient.
    """
    design, target = masks - masks.mean(0), outputs - outputs.mean(0)
    moments = design.T @ target / len(design)
    step = (design**2).sum() / len(design) / min(design.shape)
    solved = _inverse(design, step)
    moments = np.tile(moments, len(penalties))  # [n, penalties · t]
    threshold = penalties.reshape(-1) / step
    sparse, dual = np.zeros_like(moments), np.zeros_like(moments)
    for _ in range(limit):
        dense = solved(moments + step * (sparse - dual))
        relaxed = RELAXATION * dense + (1 - RELAXATION) * sparse
        before, shifted = sparse, relaxed + dual
        sparse = np.sign(shifted) * np.maximum(np.abs(shifted) - threshold, 0)
        dual = shifted - sparse
        gap = max(np.abs(dense - sparse).max(), np.abs(sparse - before).max())
        if gap <= tolerance * max(np.abs(sparse).max(), np.abs(dense).max()):
            break
    return np.ascontiguousarray(sparse.T).reshape(*penalties.shape, -1)


def _inverse(design: Array, step: float) -> Callable[[Array], Array]:
    """What multiplies by (XᵀX / m + step)⁻¹, of a design X [m, n].

    Of fewer subsets than examples by an inverse of their number (Woodbury): 50,000 examples squared
    are 20 GB.
    """
    m, n = design.shape
    if m >= n:
        inverse = np.linalg.inv(design.T @ design / m + step * np.eye(n))
        return lambda values: inverse @ values
    inner = np.linalg.inv(design @ design.T + m * step * np.eye(m))
    return lambda values: (values - design.T @ (inner @ (design @ values))) / step
