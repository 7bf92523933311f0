"""Figure 17: accuracy against width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.progress import quantity
from proxyscale.base.tables import where
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import page
from proxyscale.figures.style import PALE, Style, keys, marks
from proxyscale.registry import figure
from proxyscale.vision.figures.lds import read_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure(
    "width_fig17",
    caption="Test accuracy against width; bars are intervals over models.",
    reads=("statistics", "runs"),
    family="resnet",
)
def of_widths(data: FigureData) -> tuple[Figure, Rows]:
    """Accuracy of every width (Fig 17)."""
    return width(data.statistics, data.runs, data.style, data.given)


def width(
    statistics: pa.Table, runs: pa.Table, style: Style, spec: Mapping[str, Any]
) -> tuple[Figure, Rows]:
    """Accuracy against width, a line per task (Fig 17); bars are intervals over models."""
    parameters = {
        scale: pc.max(where(runs, scale=scale)["parameters"]).as_py()
        for scale in runs["scale"].unique().to_pylist()
    }
    rows = [
        row | {"parameters": parameters[row["proxy"]]} for row in read_rows(statistics, "accuracy")
    ]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    looks = marks(tasks, style)
    n = min((row["n"] for row in rows), default=0)
    figure, (ax,) = page(
        [""],
        style,
        title=f"Accuracy against width, {n} models each",
        xlabel="width, and parameters",
        ylabel="test accuracy",
        legend=keys(looks, line=True) if len(tasks) > 1 else (),
        height=2.0,
    )
    scales: Sequence[str] = sorted({row["proxy"] for row in rows}, key=parameters.__getitem__)
    for task in tasks:
        own = sorted((r for r in rows if r["task"] == task), key=lambda row: row["parameters"])
        x = [row["parameters"] for row in own]
        mark = looks[task]
        ax.plot(x, [row["value"] for row in own], color=mark.color, ls=mark.dash, lw=1.0)
        ax.plot(x, [row["value"] for row in own], ls="none", zorder=3, **mark.look())
        ax.vlines(x, [r["low"] for r in own], [r["high"] for r in own], color=mark.color, lw=0.8)
    ax.set_xscale("log")
    ax.xaxis.minorticks_off()
    ticks = [parameters[scale] for scale in scales]
    ax.set_xticks(ticks, [f"{style.label(s)}\n{quantity(parameters[s])}" for s in scales])
    ax.set_xlim(ticks[0] / 1.5, ticks[-1] * 1.5)
    ax.grid(axis="y", color=PALE, lw=0.4)
    return figure, rows
