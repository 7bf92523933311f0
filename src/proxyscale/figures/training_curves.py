"""Figure 21: training curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.progress import quantity
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import log_axis, page
from proxyscale.figures.style import PALE, keys
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure(
    "curves_fig21",
    caption="Training loss against tokens seen, a panel per scale, a line per distribution.",
    reads=("statistics", "losses", "runs", "curves"),
)
def curves(data: FigureData) -> tuple[Figure, Rows]:
    """Training loss against tokens seen, a panel per scale, a line per distribution (Fig 21).

    Runs of one distribution are averaged, and steps too, in at most 60 bins even in log tokens.
    """
    curves = data.table("curves")
    scales = [*data.proxies, data.reference]
    figure, axes = page(
        [data.style.label(scale) for scale in scales],
        data.style,
        title="Training curves",
        xlabel="training tokens",
        ylabel="training loss (nats per token)",
        legend=keys(data.marks, line=True),
        height=1.35,
    )
    rows: Rows = []
    for ax, scale in zip(axes, scales, strict=True):
        for name in data.grid.distributions:
            mine = pc.and_(pc.equal(curves["scale"], scale), pc.equal(curves["distribution"], name))
            points = _binned(curves.filter(mine))
            rows += [{"scale": scale, "distribution": name} | point for point in points]
            mark = data.marks[name]
            x, y = ([point[key] for point in points] for key in ("tokens", "loss"))
            ax.plot(x, y, color=mark.color, ls=mark.dash, lw=0.9)
            ax.plot(x[-1:], y[-1:], ls="none", zorder=3, **mark.look(4))
        log_axis(ax, lambda tokens, _: quantity(tokens))
        ax.grid(color=PALE, lw=0.4)
    return figure, rows


def _binned(curve: pa.Table, bins: int = 60) -> Rows:
    """Mean tokens and loss of each bin of log tokens that holds a step."""
    tokens, loss = (curve[name].to_numpy().astype(float) for name in ("tokens", "loss"))
    if not len(tokens):
        return []
    edges = np.geomspace(tokens.min(), tokens.max(), bins + 1)[1:-1]
    place = np.digitize(tokens, edges)
    return [
        {"tokens": float(tokens[place == i].mean()), "loss": float(loss[place == i].mean())}
        for i in np.unique(place)
    ]
