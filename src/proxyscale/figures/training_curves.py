"""Figure 21: training curves."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from proxyscale.base import artifacts
from proxyscale.base.paths import Paths
from proxyscale.base.progress import quantity
from proxyscale.figures.figure_data import Readout, Rows
from proxyscale.figures.layout import page
from proxyscale.figures.style import PALE, keys


def curves(readout: Readout) -> tuple[Figure, Rows]:
    """Training loss against tokens seen, a panel per scale, a line per distribution (Fig 21).

    Runs of one distribution are averaged, and steps too, in at most 60 bins even in log tokens.
    """
    curves = readout.more("curves")
    scales = [*readout.proxies, readout.reference]
    figure, axes = page(
        [readout.style.label(scale) for scale in scales],
        readout.style,
        title="Training curves",
        xlabel="training tokens",
        ylabel="training loss (nats per token)",
        legend=keys(readout.marks, line=True),
        height=1.35,
    )
    rows: Rows = []
    for ax, scale in zip(axes, scales, strict=True):
        for name in readout.grid.distributions:
            mine = pc.and_(pc.equal(curves["scale"], scale), pc.equal(curves["distribution"], name))
            points = _binned(curves.filter(mine))
            rows += [{"scale": scale, "distribution": name} | point for point in points]
            mark = readout.marks[name]
            x, y = ([point[key] for point in points] for key in ("tokens", "loss"))
            ax.plot(x, y, color=mark.color, ls=mark.dash, lw=0.9)
            ax.plot(x[-1:], y[-1:], ls="none", zorder=3, **mark.look(4))
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: quantity(tokens)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(color=PALE, lw=0.4)
    return figure, rows


def read_curves(runs: pa.Table, results: str) -> pa.Table:
    """The curves of all runs (schema curve) with scale, distribution, draw and seed."""
    parts = []
    for run in runs.select(["scale", "distribution", "draw", "seed"]).to_pylist():
        path = f"{Paths(results).run(**run)}/curve.parquet"
        curve = artifacts.read(path, "curve")
        for name, value in run.items():
            curve = curve.append_column(name, pa.repeat(pa.scalar(value), len(curve)))
        parts.append(curve)
    return pa.concat_tables(parts)


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
