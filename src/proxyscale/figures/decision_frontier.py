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
Place = tuple[str, str]  # task or MEAN, group


@figure(
    "frontier",
    caption="Decision accuracy against the compute spent: single scales, and laws fitted through "
    "several; on the mean also among each group. The line is the best that can be had for so much "
    "compute.",
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
    panels = {place: told for place, told in every.items() if place[0] not in data.left_out}
    figure, axes = page(
        [_title(*place, data) for place in panels],
        data.style,
        title=f"Decisions of reference {data.style.label(data.reference)} foretold"
        + data.some
        + _below_a_coin(every, data),
        xlabel="compute spent on proxies / compute of the reference",
        ylabel="decision accuracy",
        legend=[*keys(looks), line, toss],
        lead=(MEAN, "all") in panels,
    )
    rows = [row for place, told in panels.items() for row in _frontier_rows(data, place, told)]
    cheapest = min((row["relative_compute"] for row in rows), default=0.1)
    ends = [row["value"] if math.isnan(row["low"]) else row["low"] for row in rows]
    lowest = min([0.43, *ends])
    for ax, place in zip(axes, panels, strict=True):
        mine = [row for row in rows if (row["task"], row["group"]) == place]
        _draw_frontier(ax, mine, looks, cheapest, lowest)
    return figure, rows


def _title(task: str, group: str, data: FigureData) -> str:
    """What a panel is of."""
    said = task if task == MEAN else data.style.label(task)
    return said if group == "all" else f"{said}, {data.style.label(group)}"


def _frontier_panels(data: FigureData) -> dict[Place, dict[str, Estimate]]:
    """Estimates by predictor: of the mean over the tasks where there are several, among all and
    among each group; of each task."""
    means, tasks = {}, {}
    for group in data.groups:
        estimates = data.estimates("decision_accuracy", group)
        panels = {
            (task, group): {proxy: e for (t, proxy), e in estimates.items() if t == task}
            for task in data.tasks
        }
        if mean := _mean(list(panels.values())):
            means[MEAN, group] = mean
        if group == "all":
            tasks = panels
    return means | tasks


def _mean(panels: list[dict[str, Estimate]]) -> dict[str, Estimate]:
    """The mean over tasks of every predictor that all of them have; empty where it is one task."""
    known = [
        {proxy: e.value for proxy, e in panel.items() if not math.isnan(e.value)}
        for panel in panels
    ]
    known = [panel for panel in known if panel]
    if len(known) < 2:
        return {}
    everywhere = set.intersection(*map(set, known))
    return {
        proxy: Estimate(float(np.mean([panel[proxy] for panel in known]))) for proxy in everywhere
    }


def _frontier_rows(data: FigureData, place: Place, estimates: dict[str, Estimate]) -> Rows:
    """The task's predictors by compute; on the frontier are those that beat all cheaper ones."""
    names = sorted([*data.proxies, *data.extrapolations], key=lambda p: -data.ratios[p])
    best, rows = -math.inf, []
    task, group = place
    for name in names:
        estimate = estimates.get(name, Estimate())
        if math.isnan(estimate.value):
            continue
        kind = "single scale" if name in data.proxies else name.split(":")[0]
        facts = {"kind": kind, "relative_compute": data.relative_compute(name)}
        on = estimate.value > best
        best = max(best, estimate.value)
        rows.append(
            {"task": task, "group": group, "proxy": name}
            | facts
            | {"frontier": on}
            | estimate._asdict()
        )
    return rows


def _below_a_coin(panels: dict[Place, dict[str, Estimate]], data: FigureData) -> str:
    """The laws that do worse than a coin, on the mean or else on some task, for the title."""
    worse: dict[str, list[str]] = {}
    for (task, group), panel in panels.items():
        for name in data.extrapolations if group == "all" else ():
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
