"""Figures 1 and 12: the proxy's losses against the reference's."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.figures import signed_r2
from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import even_ticks, page, shorten
from proxyscale.figures.signed_r2 import NO_LEVER, short, squared
from proxyscale.figures.style import ALARM, GREY, INK, PALE, POINTS, SMALL, keys
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEWLINE = "\n"
CLOSE = 0.12  # of a panel's area: a group that takes no more is enlarged
FRAME = (0.6, 0.05, 0.37, 0.28)  # where, as shares of the panel
ALONE: dict[str, Any] = dict.fromkeys(
    ("group", "group_r2", "group_pearson", *(f"group_{key}" for key in NO_LEVER))
)
TITLE = 0.33  # of the height


@figure(
    "correlation_fig1",
    caption="Mean loss of the proxy against that of the reference, a panel per task, a point per "
    "training distribution; bars are the range of the runs. In the corner R² with the sign of the "
    "correlation and its interval; below, R² with any one distribution left out, and the one that "
    "moves it most. The frame at the lower right enlarges a group whose points lie close together, "
    "with its own R² and below what one distribution less makes of that.",
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
    signed = data.estimates("pearson")
    r2 = data.estimates("r2")
    levers = signed_r2.levers(data)
    rows: Rows = []
    for ax, task in zip(axes, data.drawn, strict=True):
        estimate = r2.get((task, proxy), Estimate())
        r = signed.get((task, proxy), Estimate())
        lever = levers.get((task, proxy), NO_LEVER)
        points = [_point(data, proxy, task, name) for name in data.common(proxy, task)]
        fit = _draw_line(ax, points, r.value)
        _draw_points(ax, data, points)
        _tell(ax, points, told(estimate, r, lever), r.value)
        close = _enlarge(ax, data, points, proxy) if r.value > 0 else ALONE
        even_ticks(ax.xaxis)
        even_ticks(ax.yaxis)
        facts = estimate._asdict() | {"pearson": r.value} | fit | lever | close
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


def _tell(ax: Axes, points: Rows, text: str, r: float) -> None:
    """Write the text in the upper left corner, with room made for it if need be."""
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    x = np.array([(point["proxy_loss"] - left) / (right - left) for point in points])
    y = np.array([(point["reference_highest"] - low) / (high - low) for point in points])
    lines = text.count("\n") + 1
    there = y[x < 0.85]
    free = 0.95 - 0.1 * lines  # of the height, below the text
    if len(there) and there.max() > free:
        ax.set_ylim(low, low + (high - low) * there.max() / free)
    ax.text(
        *(0.04, 0.97, text),
        transform=ax.transAxes,
        ha="left",
        va="top",
        fontsize=SMALL,
        color=ALARM if r < 0 else INK,
        linespacing=1.2,
        zorder=5,
    )


def _enlarge(ax: Axes, data: FigureData, points: Rows, proxy: str) -> dict[str, Any]:
    """Draw the group that takes least of a panel, if that is little, by itself: its name, R²."""
    taken = {}
    for name, members in data.given.get("groups", {}).items():
        mine = [point for point in points if point["distribution"] in members]
        if 3 <= len(mine) < len(points) and (share := _share(mine, points)) <= CLOSE:
            taken[name] = (share, mine)
    if not taken:
        return ALONE
    name = min(taken, key=lambda name: taken[name][0])
    found = data.estimates("r2", name).get((points[0]["task"], proxy), Estimate())
    r = data.estimates("pearson", name).get((points[0]["task"], proxy), Estimate()).value
    if math.isnan(found.value):
        return ALONE
    mine, levers = taken[name][1], signed_r2.levers(data, name)
    lever = levers.get((points[0]["task"], proxy), NO_LEVER)
    _make_room(ax, points)
    frame = ax.inset_axes(FRAME)
    _draw_points(frame, data, mine)
    frame.margins(0.15)
    frame.set(xticks=[], yticks=[])
    for spine in frame.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.5)
    label = shorten(data.style.label(name), 0.62 * POINTS, SMALL)
    text = f"{label}\n{signed_r2.told(found.value, r)}{_less_one(lever, 0.4, '')}"
    frame.set_title(text, fontsize=SMALL, pad=1.5)
    ax.indicate_inset_zoom(frame, edgecolor=GREY, linewidth=0.5, alpha=1.0)
    facts = {"group": name, "group_r2": found.value, "group_pearson": r}
    return facts | {f"group_{key}": value for key, value in lever.items()}


def _share(mine: Rows, points: Rows) -> float:
    """The share of the panel's area in which some of its points lie."""
    share = 1.0
    for side in ("proxy_loss", "reference_loss"):
        own, whole = ([point[side] for point in chosen] for chosen in (mine, points))
        share *= np.ptp(own) / np.ptp(whole) if np.ptp(whole) else 1.0
    return float(share)


def _make_room(ax: Axes, points: Rows) -> None:
    """Lower the panel's floor until no point lies where the frame and its title are to stand."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    edge = left + (FRAME[0] - 0.04) * (right - left)
    under = [point["reference_lowest"] for point in points if point["proxy_highest"] >= edge]
    top = FRAME[1] + FRAME[3] + TITLE
    if under and min(under) < low + top * (high - low):
        ax.set_ylim((min(under) - top * high) / (1 - top), high)


def told(estimate: Estimate, r: Estimate, lever: signed_r2.Lever) -> str:
    """R² with its sign and interval, and below what one distribution less makes of it; an undefined
    one is said."""
    if math.isnan(estimate.value):
        return f"R² n/a\nn = {estimate.n}" if estimate.n < 3 else "R² n/a\nno variance"
    first = signed_r2.told(estimate.value, r.value)
    if math.isnan(r.low):
        return f"{first}\nno interval, n = {estimate.n}"
    text = f"{first}{NEWLINE if r.value < 0 else ' '}[{short(squared(r.low))}, "
    text += f"{short(squared(r.high))}]"
    return text + _less_one(lever, 0.7)


def _less_one(lever: signed_r2.Lever, inches: float, start: str = "less one: ") -> str:
    """What one distribution less makes of R², on lines of their own; nothing if it is not known."""
    if not lever["most_influential"]:
        return ""
    ends = " to ".join(short(lever[f"{end}_without_one"]) for end in ("least", "most"))
    name = shorten(lever["most_influential"], inches * POINTS, SMALL)
    return f"\n{start}{ends}\n(most: {name})"
