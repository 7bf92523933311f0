"""Figures 1 and 12: the proxy's losses against the reference's."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import even_ticks, page
from proxyscale.figures.style import ALARM, GREY, INK, PALE, SMALL, keys
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@figure(
    "correlation_fig1",
    caption="Mean loss of the proxy against that of the reference, a panel per task, a point per "
    "training distribution; bars are the range of the runs. In the corner R² and its interval.",
)
def of_proxy(data: FigureData) -> tuple[Figure, Rows]:
    """The proxy's losses against the reference's (Fig 1)."""
    return correlation(data, data.proxy)


@figure("correlation_fig12", caption="As Figure 1, for the smallest proxy.")
def of_smallest(data: FigureData) -> tuple[Figure, Rows]:
    """The smallest proxy's losses against the reference's (Fig 12)."""
    return correlation(data, data.smallest)


def correlation(data: FigureData, proxy: str) -> tuple[Figure, Rows]:
    """A panel per task, a point per distribution: mean losses in nats per token (Figs 1, 12).

    Points are means over draws and seeds, bars their range, the line is that of least squares.
    """
    figure, axes = page(
        [data.style.label(task) for task in data.drawn],
        data.style,
        title=data.heading(proxy),
        xlabel=data.measured("the proxy"),
        ylabel=data.measured("the reference"),
        legend=keys(data.marks),
    )
    r2, signed = data.estimates("r2"), data.estimates("pearson")
    rows: Rows = []
    for ax, task in zip(axes, data.drawn, strict=True):
        estimate = r2.get((task, proxy), Estimate())
        r = signed.get((task, proxy), Estimate()).value
        points = [_point(data, proxy, task, name) for name in data.common(proxy, task)]
        fit = _draw_line(ax, points, r)
        _draw_points(ax, data, points)
        _tell(ax, points, estimate, r)
        even_ticks(ax.xaxis)
        even_ticks(ax.yaxis)
        facts = estimate._asdict() | {"pearson": r} | fit
        rows += [{"proxy": proxy, "reference": data.reference} | p | facts for p in points]
    return figure, rows


def _point(data: FigureData, proxy: str, task: str, name: str) -> dict[str, Any]:
    """Mean, range and number of the runs of one distribution at both scales."""
    point: dict[str, Any] = {"task": task, "distribution": name}
    for side, scale in (("proxy", proxy), ("reference", data.reference)):
        runs = data.runs_of(scale, name, task).tolist()
        point |= {
            f"{side}_loss": statistics.fmean(runs),
            f"{side}_lowest": min(runs),
            f"{side}_highest": max(runs),
            f"{side}_runs": len(runs),
        }
    return point


def _draw_line(ax: Axes, points: Rows, r: float) -> dict[str, float]:
    """The line of least squares, dashed where it falls; none through a single abscissa."""
    x, y = (
        np.array([point[f"{side}_loss"] for point in points]) for side in ("proxy", "reference")
    )
    if np.ptp(x) == 0 or math.isnan(r):
        return {"slope": math.nan, "intercept": math.nan}
    slope = float(np.cov(x, y)[0, 1] / x.var(ddof=1))
    intercept = float(y.mean() - slope * x.mean())
    ends = np.array([x.min(), x.max()])
    ax.plot(ends, intercept + slope * ends, color=GREY, lw=0.8, ls="--" if r < 0 else "-", zorder=1)
    return {"slope": slope, "intercept": intercept}


def _draw_points(ax: Axes, data: FigureData, points: Rows) -> None:
    size = 5.2 if len(points) <= 20 else 3.5
    for bars, side, other in ((ax.hlines, "proxy", "reference"), (ax.vlines, "reference", "proxy")):
        several = [point for point in points if point[f"{side}_runs"] > 1]
        if several:
            low, high = ([p[f"{side}_{end}"] for p in several] for end in ("lowest", "highest"))
            colors = [data.marks[point["distribution"]].color for point in several]
            place = [point[f"{other}_loss"] for point in several]
            bars(place, low, high, colors=colors, lw=0.7, alpha=0.7, zorder=2)
    family = Counter(data.marks.values())
    # a large family must not hide the single ones
    for i, mark in enumerate(sorted(family, key=lambda mark: -family[mark])):
        mine = [point for point in points if data.marks[point["distribution"]] == mark]
        x, y = ([point[f"{side}_loss"] for point in mine] for side in ("proxy", "reference"))
        ax.plot(x, y, ls="none", zorder=3 + i / 100, **mark.look(size))
    ax.margins(0.08)
    ax.grid(color=PALE, lw=0.4)


def _tell(ax: Axes, points: Rows, estimate: Estimate, r: float) -> None:
    """Write R² and its interval in the emptiest corner, with room made for it if need be."""
    text = told(estimate, r)
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    x = np.array([(point["proxy_loss"] - left) / (right - left) for point in points])
    y = np.array([(point["reference_loss"] - low) / (high - low) for point in points])
    corners = [(0.04, 0.96), (0.96, 0.04), (0.96, 0.96), (0.04, 0.04)]
    crowd = [int(((abs(x - a) < 0.62) & (abs(y - b) < 0.34)).sum()) for a, b in corners]
    best = int(np.argmin(crowd))
    a, b = corners[best]
    if crowd[best]:
        a, b = corners[0]
        ax.set_ylim(low, high + 0.4 * (high - low))
    ax.text(
        *(a, b, text),
        transform=ax.transAxes,
        ha="left" if a < 0.5 else "right",
        va="bottom" if b < 0.5 else "top",
        fontsize=SMALL,
        color=ALARM if r < 0 else INK,
        linespacing=1.25,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
        zorder=5,
    )


def told(estimate: Estimate, r: float) -> str:
    """R² and its interval in two lines; a negative correlation is said, an undefined one too."""
    if math.isnan(estimate.value):
        return f"R² n/a\nn = {estimate.n}" if estimate.n < 3 else "R² n/a\nno variance"
    first = f"R² = {estimate.value:.2f}" + (" (r < 0)" if r < 0 else "")
    if math.isnan(estimate.low):
        return f"{first}\nno interval, n = {estimate.n}"
    return f"{first}\n[{estimate.low:.2f}, {estimate.high:.2f}]"
