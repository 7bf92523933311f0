"""R² with the sign of its correlation, and an axis on which values near 1 can be told apart.

The axis is Fisher's: equal steps of z = artanh √R², on which intervals of a correlation are about
equally long wherever they lie.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.base.tables import where
from proxyscale.statistics.grid import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from proxyscale.figures.figure_data import FigureData

Lever = dict[str, Any]  # what one distribution less makes of R²
NO_LEVER: Lever = dict.fromkeys(("least_without_one", "most_without_one", "most_influential"))
MOST = 0.998  # what is higher stands at the edge
TICKS = (0, 0.9, -0.9, 0.5, 0.99, -0.99, -0.5, 0.95, 0.8)  # those that matter most come first
APART = 0.085  # of the axis, at least


def squared(r: float) -> float:
    """R² with the sign of the correlation r."""
    return math.copysign(r * r, r)


def told(value: float, r: float) -> str:
    """R² as it is written: an inverted order has its sign and is called so."""
    return f"R² = −{value:.2f} (inverted)" if r < 0 else f"R² = {value:.2f}"


def short(value: float) -> str:
    """A number of two digits, with a minus sign."""
    return f"{value:.2f}".replace("-", "−")


def levers(
    data: FigureData, group: str = "all", level: str = "distribution"
) -> dict[tuple[str, str], Lever]:
    """By (task, proxy) R² with its sign where one distribution is left out, from least to most, and
    the one that moves the correlation most."""
    place = {"level": level, "group": group, "reference": data.reference}
    rows = where(data.statistics, statistic="pearson_leave_one_out", **place).to_pylist()
    return {(row["task"], row["proxy"]): lever(row) for row in rows if row["low"] is not None}


def lever(row: Mapping[str, Any]) -> Lever:
    """The same from one row of the statistics."""
    return {
        "least_without_one": squared(row["low"]),
        "most_without_one": squared(row["high"]),
        "most_influential": row["named"],
    }


def bend(values: Array) -> Array:
    """z of signed R², kept finite."""
    sizes = np.minimum(np.abs(np.asarray(values, dtype=float)), MOST)
    found: Array = np.sign(values) * np.arctanh(np.sqrt(sizes))
    return found


def straighten(z: Array) -> Array:
    """Signed R² of z."""
    found: Array = np.sign(z) * np.tanh(np.abs(z)) ** 2
    return found


def signed_axis(ax: Axes, values: Iterable[float]) -> None:
    """An upright axis of signed R² that shows these values, from 0 or below to 1."""
    low = min((v for v in values if not math.isnan(v)), default=0.0)
    bottom = max(low - 0.02, -MOST) if low < 0 else 0.0
    ax.set_yscale("function", functions=(bend, straighten))
    ends = bend(np.array([bottom, MOST]))
    ticks: list[float] = []
    for tick in (tick for tick in TICKS if tick >= bottom):
        gaps = np.abs(bend(np.array(ticks)) - bend(np.array(tick)))
        if (gaps > APART * np.ptp(ends)).all():
            ticks.append(tick)
    ax.set_yticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    ax.set_ylim(bottom, MOST)
    ax.yaxis.minorticks_off()
