"""The frontier: what decision accuracy can be had for how much compute, and by which predictor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import log_axis, page, say_undefined
from proxyscale.figures.style import GREY, INK, PALE, PREDICTORS, Mark, key, keys, predictor_marks
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEAN = "mean of the tasks"


@figure(
    "frontier",
    caption="Decision accuracy against the compute spent: single scales, and laws fitted through "
    "several. The line is the best that can be had for so much compute.",
    exists=lambda facts: facts.compute,
)
def frontier(data: FigureData) -> tuple[Figure, Rows]:
    """Decision accuracy against relative compute, a panel per task: proxies and extrapolations.

    An extrapolation costs all the proxies that it reads. The line is the frontier: the best
    decision accuracy that can be had for so much compute.
    """
    kinds = {"single scale", *(name.split(":")[0] for name in data.extrapolations)}
    looks = {kind: mark for kind, mark in predictor_marks().items() if kind in kinds}
    line = key("frontier", color=INK, lw=0.9)
    toss = key("coin toss", color=GREY, lw=0.8, ls=(0, (3, 2)))
    every = _frontier_panels(data)
    panels = {task: told for task, told in every.items() if task not in data.left_out}
    figure, axes = page(
        [data.style.label(task) for task in panels],
        data.style,
        title=f"Decisions of reference {data.style.label(data.reference)} foretold"
        + data.some
        + _below_a_coin(every, data),
        xlabel="compute spent on proxies / compute of the reference",
        ylabel="decision accuracy",
        legend=[*keys(looks), line, toss],
        lead=MEAN in panels,
    )
    rows = [row for task, told in panels.items() for row in _frontier_rows(data, task, told)]
    cheapest = min((row["relative_compute"] for row in rows), default=0.1)
    ends = [row["value"] if math.isnan(row["low"]) else row["low"] for row in rows]
    lowest = min([0.43, *ends])
    for ax, task in zip(axes, panels, strict=True):
        _draw_frontier(ax, [row for row in rows if row["task"] == task], looks, cheapest, lowest)
    return figure, rows


def _frontier_panels(data: FigureData) -> dict[str, dict[str, Estimate]]:
    """Estimates by predictor: of the mean over the tasks where there are several, of each task."""
    estimates = data.estimates("decision_accuracy")
    panels = {
        task: {proxy: e for (t, proxy), e in estimates.items() if t == task} for task in data.tasks
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
    first = {MEAN: {proxy: Estimate(value) for proxy, value in means.items()}}
    return first | panels


def _frontier_rows(data: FigureData, task: str, estimates: dict[str, Estimate]) -> Rows:
    """The task's predictors by compute; on the frontier are those that beat all cheaper ones."""
    names = sorted([*data.proxies, *data.extrapolations], key=lambda p: -data.ratios[p])
    best, rows = -math.inf, []
    for name in names:
        estimate = estimates.get(name, Estimate())
        if math.isnan(estimate.value):
            continue
        kind = "single scale" if name in data.proxies else name.split(":")[0]
        facts = {"kind": kind, "relative_compute": data.relative_compute(name)}
        on = estimate.value > best
        best = max(best, estimate.value)
        rows.append({"task": task, "proxy": name} | facts | {"frontier": on} | estimate._asdict())
    return rows


def _below_a_coin(panels: dict[str, dict[str, Estimate]], data: FigureData) -> str:
    """The laws that do worse than a coin, on the mean or else on some task, for the title."""
    worse: dict[str, list[str]] = {}
    for task, panel in panels.items():
        for name in data.extrapolations:
            if panel.get(name, Estimate()).value < 0.5:
                worse.setdefault(PREDICTORS[name.split(":")[0]], []).append(data.style.label(task))
    told = [
        law if MEAN in tasks else f"{law} on {', '.join(dict.fromkeys(tasks))}"
        for law, tasks in worse.items()
    ]
    return f"; worse than a coin: {', '.join(told)}" if told else ""


def _draw_frontier(
    ax: Axes, rows: Rows, looks: dict[str, Mark], cheapest: float, lowest: float
) -> None:
    """Predictors and their frontier, from the compute of the cheapest to the reference's; all
    panels down to the lowest value of any."""
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
    log_axis(ax)
    ax.set_xlim(cheapest / 1.6, 1.6)
    ax.set_ylim(lowest - 0.03, 1.03)
    ax.axhline(0.5, color=GREY, lw=0.8, ls=(0, (3, 2)), zorder=1)
    ax.grid(color=PALE, lw=0.4)
