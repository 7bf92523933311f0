"""Figure 29: whether the scales' attribution scores agree."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import page
from proxyscale.figures.style import INK
from proxyscale.registry import figure
from proxyscale.statistics.grid import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@figure(
    "agreement_fig29",
    caption="Spearman between the attribution scores of every pair of scales, a panel per task; "
    "below the diagonal corrected for the models' own noise.",
    reads=("statistics", "losses", "runs", "agreement"),
)
def agreement(data: FigureData) -> tuple[Figure, Rows]:
    """Spearman between the scores of every pair of scales, a panel per task (Fig 29).

    Above the diagonal: mean over pairs of single models. On it: between two models of one scale.
    Below: divided by the root of the product of the two diagonal values, which is what models
    without noise of their own would have (Spearman 1904), at most 1.
    """
    table = data.table("agreement")
    tasks = table["task"].unique().to_pylist()
    scales = [*data.proxies, data.reference]
    n = pc.max(table["n"]).as_py()
    figure, axes = page(
        [data.style.label(task) for task in tasks],
        data.style,
        title=f"Spearman between attribution scores of {n:,} pool examples",
        xlabel="above the diagonal: single models; on it: two models of one scale; "
        "below: corrected for the models' noise",
        ylabel="scale",
        height=1.6,
    )
    rows: Rows = []
    for ax, task in zip(axes, tasks, strict=True):
        mine = table.filter(pc.equal(table["task"], task))
        raw = np.array([[_mean(mine, a, b) for b in scales] for a in scales])
        shown = _corrected(raw)
        _draw_matrix(ax, shown, [data.style.label(scale) for scale in scales])
        for i, j in product(range(len(scales)), repeat=2):
            kind = "corrected" if i > j else "single models" if i < j else "same scale"
            row = {"task": task, "first": scales[i], "second": scales[j], "kind": kind}
            rows.append(row | {"spearman": float(shown[i, j]), "n": n})
    return figure, rows


def _mean(table: pa.Table, a: str, b: str) -> float:
    """Mean over the pairs of models of two scales; NaN without a pair."""
    pairs = ((a, b), (b, a)) if a != b else ((a, b),)
    found = [
        table.filter(pc.and_(pc.equal(table["first"], x), pc.equal(table["second"], y)))["spearman"]
        for x, y in pairs
    ]
    values = np.concatenate([column.to_numpy() for column in found])
    return float(values.mean()) if len(values) else math.nan


def _corrected(raw: Array) -> Array:
    """The matrix with its lower half corrected for attenuation."""
    reliable = np.sqrt(np.where(raw.diagonal() > 0, raw.diagonal(), np.nan))
    corrected = np.minimum(raw / np.outer(reliable, reliable), 1.0)
    shown: Array = np.where(np.tri(len(raw), k=-1, dtype=bool), corrected, raw)
    return shown


def _draw_matrix(ax: Axes, values: Array, labels: list[str]) -> None:
    ax.imshow(values, cmap="YlGnBu", vmin=0, vmax=1, aspect="auto")
    for i, j in product(range(len(labels)), repeat=2):
        text = "–" if math.isnan(values[i, j]) else f"{values[i, j]:.2f}".replace("0.", ".")
        color = "white" if values[i, j] > 0.6 else INK
        ax.text(j, i, text, ha="center", va="center", size=6, color=color)
    upright = 90 if max(map(len, labels)) > 4 else 0
    ax.set_xticks(range(len(labels)), labels, rotation=upright)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
