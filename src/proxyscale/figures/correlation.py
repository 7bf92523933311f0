"""Figures 1 and 12: the proxy's losses against the reference's; 5 and 13: per-example R²."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, MultipleLocator, PercentFormatter

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import Estimate, Readout, Rows
from proxyscale.figures.layout import even_ticks, page
from proxyscale.figures.style import ALARM, COLORS, GREY, INK, PALE, SMALL, keys
from proxyscale.statistics.grid import Array
from proxyscale.statistics.measures import pearson

BINS = np.linspace(0, 1, 21)


def correlation(readout: Readout, proxy: str) -> tuple[Figure, Rows]:
    """A panel per task, a point per distribution: mean losses in nats per token (Figs 1, 12).

    Points are means over draws and seeds, bars their range, the line is that of least squares.
    """
    figure, axes = page(
        [readout.style.label(task) for task in readout.drawn],
        readout.style,
        title=readout.heading(proxy),
        xlabel=readout.measured("the proxy"),
        ylabel=readout.measured("the reference"),
        legend=keys(readout.marks),
    )
    r2, signed = readout.estimates("r2"), readout.estimates("pearson")
    rows: Rows = []
    for ax, task in zip(axes, readout.drawn, strict=True):
        estimate = r2.get((task, proxy), Estimate())
        r = signed.get((task, proxy), Estimate()).value
        points = [_point(readout, proxy, task, name) for name in readout.common(proxy, task)]
        fit = _draw_line(ax, points, r)
        _draw_points(ax, readout, points)
        _tell(ax, points, estimate, r)
        even_ticks(ax.xaxis)
        even_ticks(ax.yaxis)
        facts = estimate._asdict() | {"pearson": r} | fit
        rows += [{"proxy": proxy, "reference": readout.reference} | p | facts for p in points]
    return figure, rows


def _point(readout: Readout, proxy: str, task: str, name: str) -> dict[str, Any]:
    """Mean, range and number of the runs of one distribution at both scales."""
    point: dict[str, Any] = {"task": task, "distribution": name}
    for side, scale in (("proxy", proxy), ("reference", readout.reference)):
        runs = readout.runs_of(scale, name, task)
        point |= {
            f"{side}_loss": float(runs.mean()),
            f"{side}_lowest": float(runs.min()),
            f"{side}_highest": float(runs.max()),
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


def _draw_points(ax: Axes, readout: Readout, points: Rows) -> None:
    size = 5.2 if len(points) <= 20 else 3.5
    family = Counter(readout.marks.values())
    # a large family must not hide the single ones
    for i, mark in enumerate(sorted(family, key=lambda mark: -family[mark])):
        mine = [point for point in points if readout.marks[point["distribution"]] == mark]
        x, y = ([point[f"{side}_loss"] for point in mine] for side in ("proxy", "reference"))
        thin: dict[str, Any] = {"color": mark.color, "lw": 0.7, "alpha": 0.7, "zorder": 2 + i / 100}
        across = [_ends(mine, "proxy"), np.repeat(y, 3)]
        upright = [np.repeat(x, 3), _ends(mine, "reference")]
        for line in (across, upright):
            ax.plot(*line, **thin)
        ax.plot(x, y, ls="none", zorder=3 + i / 100, **mark.look(size))
    ax.margins(0.08)
    ax.grid(color=PALE, lw=0.4)


def _ends(points: Rows, side: str) -> Array:
    """Lowest and highest of each point, with a gap after it: one line for all bars."""
    ends = [[point[f"{side}_lowest"], point[f"{side}_highest"], math.nan] for point in points]
    return np.array(ends).ravel()


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


def histogram(readout: Readout, proxy: str) -> tuple[Figure, Rows]:
    """Share of each task's test examples by their R² over the distributions (Figs 5, 13).

    The solid line is the median, the dotted one the median noise ceiling; examples with a
    negative correlation are hatched; those without variance have no R² and are only counted.
    """
    rows: Rows = []
    bars = [_bars(readout, proxy, task) for task in readout.drawn]
    if not any(bar[0]["n"] for bar in bars):
        hint = "losses by example are needed, not their averages"
        raise UserError(f"no per-example statistics for proxy {proxy!r}", hint=hint)
    figure, axes = page(
        [readout.style.label(task) for task in readout.drawn],
        readout.style,
        title=readout.heading(proxy),
        xlabel="R² of one test example's loss over the distributions",
        ylabel="share of the test examples",
        legend=_histogram_legend(bars),
        height=1.15,
    )
    top = max(row["share"] for bar in bars for row in bar)
    for ax, bar in zip(axes, bars, strict=True):
        _draw_bars(ax, bar, top)
        rows += [{"proxy": proxy, "reference": readout.reference} | row for row in bar]
    return figure, rows


def _bars(readout: Readout, proxy: str, task: str) -> Rows:
    """One row a bin: its edges, the share of examples in it, and of those with r < 0."""
    r2 = readout.examples("r2", proxy, task)
    known = {i: e for i, e in r2.items() if not math.isnan(e.value)}
    values = np.array([e.value for e in known.values()])
    falling = np.isin(list(known), _falling(readout, proxy, task))
    ceilings = np.array([e.ceiling for e in known.values()])
    ceilings = ceilings[~np.isnan(ceilings)]
    count, _ = np.histogram(values, BINS)
    negative, _ = np.histogram(values[falling], BINS)
    facts = {
        "median": float(np.median(values)) if len(values) else math.nan,
        "ceiling": float(np.median(ceilings)) if len(ceilings) else math.nan,
        "n": len(values),
        "undefined": len(r2) - len(values),
    }
    total = max(len(values), 1)
    return [
        {
            **{"task": task, "from": float(BINS[i]), "to": float(BINS[i + 1])},
            **{"share": count[i] / total, "share_negative": negative[i] / total},
            **facts,
        }
        for i in range(len(count))
    ]


def _falling(readout: Readout, proxy: str, task: str) -> Array:
    """Examples whose losses at the two scales correlate negatively: [examples]."""
    there = np.isin(readout.grid.distributions, readout.common(proxy, task))
    means = readout.grid.example_means(task)[:, there]
    own, reference = (means[readout.grid.index(scale)] for scale in (proxy, readout.reference))
    ids: Array = readout.grid.examples[task][pearson(own, reference) < 0]
    return ids


def _draw_bars(ax: Axes, bar: Rows, top: float) -> None:
    left = np.array([row["from"] for row in bar])
    share = np.array([row["share"] for row in bar])
    negative = np.array([row["share_negative"] for row in bar])
    wide = BINS[1] - BINS[0]
    style: dict[str, Any] = {"width": wide, "align": "edge", "edgecolor": "white", "lw": 0.4}
    ax.bar(left, share - negative, bottom=negative, color=COLORS[4], **style)
    ax.bar(left, negative, color=COLORS[1], hatch="/////", **style)
    fact = bar[0]
    if fact["n"]:
        ax.axvline(fact["median"], color=INK, lw=1.2)
        if not math.isnan(fact["ceiling"]):
            ax.axvline(fact["ceiling"], color=INK, lw=1.0, ls=(0, (1, 1.5)))
    lines = [f"median {fact['median']:.2f}" if fact["n"] else "R² n/a", f"n = {fact['n']}"]
    lines += [f"{fact['undefined']} n/a"] if fact["undefined"] else []
    ax.text(0.03, 0.97, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=SMALL)
    ax.set(xlim=(0, 1), ylim=(0, top * 1.35))
    ax.xaxis.set_major_locator(MultipleLocator(0.25))
    ticks = np.asarray(MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(0, top))
    ax.yaxis.set_major_locator(FixedLocator(list(ticks[ticks <= 1.001])))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _histogram_legend(bars: list[Rows]) -> list[Line2D]:
    block: dict[str, Any] = {"ls": "none", "marker": "s", "markersize": 6, "markeredgewidth": 0}
    entries = [Line2D([], [], color=COLORS[4], label="r ≥ 0", **block)]
    if any(row["share_negative"] for bar in bars for row in bar):
        entries.append(Line2D([], [], color=COLORS[1], label="r < 0", **block))
    entries.append(Line2D([], [], color=INK, lw=1.2, label="median"))
    if not all(math.isnan(bar[0]["ceiling"]) for bar in bars):
        dotted = Line2D([], [], color=INK, lw=1, ls=(0, (1, 1.5)), label="noise ceiling (median)")
        entries.append(dotted)
    return entries
