"""How alike a proxy orders and spaces the distributions: the bare numbers, without their intervals.

Losses throughout: lower is better. `x` or `proxy` and `y` or `reference` are mean losses over the
same distributions, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from proxyscale.statistics.grid import Array

LEVERED = 4  # points of which one can be left out
BLOCK = 2_000_000  # pairs that are held at once, where each must be looked at


def pearson(x: Array, y: Array) -> Array:
    """Pearson correlation along the first axis; NaN where either is constant."""
    # the mean of equal values need not be that value to the last bit
    flat = (np.ptp(x, axis=0) == 0) | (np.ptp(y, axis=0) == 0)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    norm = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    flat = flat | (norm == 0)
    return np.clip(np.where(flat, np.nan, (x * y).sum(axis=0) / np.where(flat, 1, norm)), -1, 1)


def leave_one_out(x: Array, y: Array) -> Array:
    """Pearson correlation of all other points, for each left out: [n, ...]; NaN where undefined."""
    n = len(x)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    # sums of squares and products of all others, about their own means
    xx, yy, xy = (
        (a * b).sum(axis=0) - a * b * n / max(n - 1, 1) for a, b in ((x, x), (y, y), (x, y))
    )
    small = 1e-12
    with np.errstate(invalid="ignore", divide="ignore"):
        flat = (xx <= small * (x * x).sum(axis=0)) | (yy <= small * (y * y).sum(axis=0))
        r = np.where(flat, np.nan, xy / np.sqrt(np.where(flat, 1, xx * yy)))
    return np.clip(r, -1, 1)


def levers(x: Array, y: Array) -> tuple[Array, int] | None:
    """`leave_one_out` of four points or more, and the point that moves Fisher's z most of all; None
    where no correlation is defined."""
    r, others = pearson(x, y), leave_one_out(x, y)
    if len(x) < LEVERED or np.isnan(r) or np.isnan(others).all():
        return None
    moved = np.abs(np.arctanh(others * (1 - 1e-9)) - np.arctanh(r * (1 - 1e-9)))
    return others, int(np.nanargmax(moved))


def correlations(x: Array, y: Array) -> dict[str, float]:
    """R², of the losses and of their logarithms, Pearson, Spearman (mean ranks) and Kendall τ-b.

    NaN below three points, where either is constant, and of the logarithms where a loss is not
    positive.
    """
    names = ("r2", "r2_log", "pearson", "spearman", "kendall")
    if len(x) < 3:
        return dict.fromkeys(names, np.nan)
    r, log = float(pearson(x, y)), np.nan
    if (x > 0).all() and (y > 0).all():
        log = float(pearson(np.log(x), np.log(y)))
    rho = float(pearson(ranks(x), ranks(y)))
    return dict(zip(names, (r * r, log * log, r, rho, _kendall(x, y)), strict=True))


def ranks(values: Array) -> Array:
    """Ranks from 1 on, equal values the mean of theirs: [n] → [n]."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: Array = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return found


class _Pairs(NamedTuple):
    """How many of all pairs of points are of which kind."""

    every: int
    concordant: int
    discordant: int
    tied_x: int  # tied in both included
    tied_y: int


def _pairs(x: Array, y: Array) -> _Pairs:
    """The kinds of all pairs, from sorted values: n·log n steps and memory (Knight 1966, J. Amer.
    Statist. Ass. 61, 436–439)."""
    a, b = (np.unique(values, return_inverse=True)[1] for values in (x, y))
    every, tied_x, tied_y = len(x) * (len(x) - 1) // 2, _tied(a), _tied(b)
    both = _tied(np.unique(a * len(b) + b, return_inverse=True)[1])
    discordant = _inversions(b[np.lexsort((b, a))])
    concordant = every - discordant - tied_x - tied_y + both
    return _Pairs(every, concordant, discordant, tied_x, tied_y)


def _tied(places: Array) -> int:
    counts = np.bincount(places)
    return int((counts * (counts - 1) // 2).sum())


def _inversions(places: Array) -> int:
    """How many pairs stand in falling order; `places` are whole numbers from 0 on.

    Such a pair differs first in some bit, which the one before has. So for each bit, among those
    that agree in all higher bits, count how many with the bit stand before each one without it.
    """
    total = 0
    for bit in range(int(places.max(initial=0)).bit_length()):
        order = np.argsort(places >> (bit + 1), kind="stable")
        group, ones = places[order] >> (bit + 1), (places[order] >> bit) & 1
        before = np.concatenate([[0], np.cumsum(ones)])
        first = np.searchsorted(group, group)
        total += int((before[:-1] - before[first])[ones == 0].sum())
    return total


def _kendall(x: Array, y: Array) -> float:
    """τ-b."""
    found = _pairs(x, y)
    untied = np.sqrt(float(found.every - found.tied_x) * float(found.every - found.tied_y))
    return float((found.concordant - found.discordant) / untied) if untied else np.nan


class Decisions(NamedTuple):
    """How many pairs of distributions are ordered right, and of how many that can be said."""

    accuracy: float  # NaN of no pair
    pairs: int  # that the reference orders
    tied: float  # share of those that the proxy ties
    reference_tied: float  # share of all pairs that the reference ties


def decisions(
    x: Array, y: Array, margin: Callable[[Array, Array], Array] | None = None
) -> Decisions:
    """Share of pairs that x orders as y does (decision accuracy: DataDecide, 2504.11393).

    A pair tied in x counts one half; one tied in y has no right order and is left out. `margin`
    gives, for positions i and j of the two of many pairs, what |Δy| must exceed for the pair to
    count; NaN decides nothing.
    """
    found = _pairs(x, y)
    right, pairs = found.concordant, found.every - found.tied_y
    tied = pairs - found.concordant - found.discordant
    if margin is not None:
        right, tied, pairs = _decided(x, y, margin)
    return Decisions(
        (right + 0.5 * tied) / pairs if pairs else np.nan,
        pairs,
        tied / pairs if pairs else np.nan,
        found.tied_y / found.every if found.every else np.nan,
    )


def _decided(x: Array, y: Array, margin: Callable[[Array, Array], Array]) -> tuple[int, int, int]:
    """Of the pairs whose reference differs by more than the margin: right, tied, and all."""
    n, counts = len(x), np.zeros(3, dtype=np.int64)
    rows = max(BLOCK // max(n, 1), 1)
    for start in range(0, n, rows):
        i, j = np.nonzero(np.arange(start, min(start + rows, n))[:, None] < np.arange(n))
        i += start
        proxy, difference = x[i] - x[j], y[i] - y[j]
        kept = np.abs(difference) > margin(i, j)
        proxy, difference = np.sign(proxy[kept]), np.sign(difference[kept])
        counts += (proxy * difference > 0).sum(), (proxy == 0).sum(), len(proxy)
    right, tied, pairs = counts.tolist()
    return right, tied, pairs
