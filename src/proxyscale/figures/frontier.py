"""The frontier: what decision accuracy can be had for how much compute, and by which predictor."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from proxyscale.figures.figure_data import Estimate, Readout, Rows
from proxyscale.figures.layout import page, say_undefined
from proxyscale.figures.scaling import fraction
from proxyscale.figures.style import GREY, INK, PALE, Mark, keys, marks

LAWS = {
    "law2": "power law",
    "law3": "power law with a floor",
    "loss_to_loss": "loss-to-loss law",
}


def frontier(readout: Readout) -> tuple[Figure, Rows]:
    """Decision accuracy against relative compute, a panel per task: proxies and extrapolations.

    An extrapolation costs all the proxies that it reads. The line is the frontier: the best
    decision accuracy that can be had for so much compute.
    """
    kinds = ["single scale", *dict.fromkeys(name.split(":")[0] for name in readout.extrapolations)]
    looks = {
        kind: mark._replace(label=LAWS.get(kind, kind))
        for kind, mark in marks(kinds, readout.style).items()
    }
    line = Line2D([], [], color=INK, lw=0.9, label="frontier")
    toss = Line2D([], [], color=GREY, lw=0.8, ls=(0, (3, 2)), label="coin toss")
    every = _frontier_panels(readout)
    panels = {task: told for task, told in every.items() if task not in readout.left_out}
    figure, axes = page(
        [readout.style.label(task) for task in panels],
        readout.style,
        title=f"Decisions of reference {readout.style.label(readout.reference)} foretold"
        + readout.some,
        xlabel="compute spent on proxies / compute of the reference",
        ylabel="decision accuracy",
        legend=[*keys(looks), line, toss],
    )
    rows = [row for task, told in panels.items() for row in _frontier_rows(readout, task, told)]
    cheapest = min((row["relative_compute"] for row in rows), default=0.1)
    for ax, task in zip(axes, panels, strict=True):
        _draw_frontier(ax, [row for row in rows if row["task"] == task], looks, cheapest)
    return figure, rows


def _frontier_panels(readout: Readout) -> dict[str, dict[str, Estimate]]:
    """Estimates by predictor: of the mean over the tasks where there are several, of each task."""
    estimates = readout.estimates("decision_accuracy")
    panels = {
        task: {proxy: e for (t, proxy), e in estimates.items() if t == task}
        for task in readout.tasks
    }
    known = [
        {proxy: e.value for proxy, e in panel.items() if not math.isnan(e.value)}
        for panel in panels.values()
    ]
    known = [panel for panel in known if panel]
    if len(known) < 2:
        return panels
    everywhere = set.intersection(*map(set, known))
    means = {proxy: float(np.mean([panel[proxy] for panel in known])) for proxy in everywhere}
    first = {"mean of the tasks": {proxy: Estimate(value) for proxy, value in means.items()}}
    return first | panels


def _frontier_rows(readout: Readout, task: str, estimates: dict[str, Estimate]) -> Rows:
    """The task's predictors by compute; on the frontier are those that beat all cheaper ones."""
    names = sorted([*readout.proxies, *readout.extrapolations], key=lambda p: -readout.ratios[p])
    best, rows = -math.inf, []
    for name in names:
        estimate = estimates.get(name, Estimate())
        if math.isnan(estimate.value):
            continue
        kind = "single scale" if name in readout.proxies else name.split(":")[0]
        facts = {"kind": kind, "relative_compute": readout.relative_compute(name)}
        on = estimate.value > best
        best = max(best, estimate.value)
        rows.append({"task": task, "proxy": name} | facts | {"frontier": on} | estimate._asdict())
    return rows


def _draw_frontier(ax: Axes, rows: Rows, looks: dict[str, Mark], cheapest: float) -> None:
    """Predictors and their frontier, from the compute of the cheapest to the reference's."""
    on = [row for row in rows if row["frontier"]]
    x, y = [row["relative_compute"] for row in on], [row["value"] for row in on]
    if on:
        ax.step([*x, 1.0], [*y, y[-1]], where="post", color=INK, lw=0.9, zorder=1)
    for row in rows:
        mark, at = looks[row["kind"]], row["relative_compute"]
        ax.plot([at, at], [row["low"], row["high"]], color=mark.color, lw=0.8, alpha=0.4, zorder=2)
        ax.plot([at], [row["value"]], ls="none", zorder=3, **mark.look())
    if not rows:
        say_undefined(ax, "decision accuracy")
    ax.set_xscale("log")
    ax.set_xlim(cheapest / 1.6, 1.6)
    ax.xaxis.set_major_formatter(FuncFormatter(fraction))
    ax.xaxis.set_minor_formatter(NullFormatter())
    lowest = min([0.43, *(row["value"] if math.isnan(row["low"]) else row["low"] for row in rows)])
    ax.set_ylim(lowest - 0.03, 1.03)
    ax.axhline(0.5, color=GREY, lw=0.8, ls=(0, (3, 2)), zorder=1)
    ax.grid(color=PALE, lw=0.4)
