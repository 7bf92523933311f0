"""Figures 5 and 13: how well single test examples correlate, as a histogram of their R²."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import page
from proxyscale.figures.style import COLORS, INK, SMALL, key
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

BINS = np.linspace(0, 1, 21)
TOP = 0.7  # of the height, for bars and lines; words stand above


@figure(
    "histogram_fig5",
    caption="Share of each task's test examples by the R² of their losses over the distributions; "
    "the solid line is the median, whatever the sign; hatched are those with r < 0; below, the "
    "median among the distributions of each group.",
    exists=lambda facts: facts.examples,
)
def of_proxy(data: FigureData) -> tuple[Figure, Rows]:
    """R² of single examples at the proxy (Fig 5)."""
    return histogram(data, data.proxy)


@figure(
    "histogram_fig13",
    caption="As Figure 5, for the smallest proxy.",
    exists=lambda facts: facts.examples,
)
def of_smallest(data: FigureData) -> tuple[Figure, Rows]:
    """R² of single examples at the smallest proxy (Fig 13)."""
    return histogram(data, data.smallest)


def histogram(data: FigureData, proxy: str) -> tuple[Figure, Rows]:
    """Share of each task's test examples by their R² over the distributions (Figs 5, 13).

    The solid line is the median, the dotted one the median noise ceiling; examples with a
    negative correlation are hatched; those without variance have no R² and are only counted.
    """
    rows: Rows = []
    bars = [_bars(data, proxy, task) for task in data.drawn]
    if not any(bar[0]["n"] for bar in bars):
        hint = "losses by example are needed, not their averages"
        raise UserError(f"no per-example statistics for proxy {proxy!r}", hint=hint)
    figure, axes = page(
        [data.style.label(task) for task in data.drawn],
        data.style,
        title=data.heading(proxy),
        xlabel="R² of one test example's loss over the distributions",
        ylabel=f"share of the test examples, bins of {BINS[1]:.2f}",
        legend=_histogram_legend(bars),
        height=1.15,
    )
    top = max(row["share"] for bar in bars for row in bar)
    for ax, bar in zip(axes, bars, strict=True):
        _draw_bars(ax, bar, top, {name: data.style.label(name) for name in data.groups[1:]})
        rows += [{"proxy": proxy, "reference": data.reference} | row for row in bar]
    return figure, rows


def _bars(data: FigureData, proxy: str, task: str) -> Rows:
    """One row a bin: its edges, the share of examples in it, and of those with r < 0."""
    r2 = data.examples(proxy, task)
    known = {i: e for i, e in r2.items() if not math.isnan(e.value)}
    values = np.array([e.value for e in known.values()])
    falling = np.isin(list(known), data.falling(proxy, task))
    ceilings = np.array([e.ceiling for e in known.values()])
    ceilings = ceilings[~np.isnan(ceilings)]
    count, _ = np.histogram(values, BINS)
    negative, _ = np.histogram(values[falling], BINS)
    facts = {
        "median": _median(r2),
        "ceiling": float(np.median(ceilings)) if len(ceilings) else math.nan,
        "n": len(values),
        "undefined": len(r2) - len(values),
        **{f"median_{g}": _median(data.examples(proxy, task, g)) for g in data.groups[1:]},
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


def _median(r2: Mapping[int, Estimate]) -> float:
    """The median of the examples' R²; NaN if none has one."""
    known = [e.value for e in r2.values() if not math.isnan(e.value)]
    return float(np.median(known)) if known else math.nan


def _draw_bars(ax: Axes, bar: Rows, top: float, groups: Mapping[str, str]) -> None:
    """`groups`: name → how it is written."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, MultipleLocator, PercentFormatter

    left = np.array([row["from"] for row in bar])
    share = np.array([row["share"] for row in bar])
    negative = np.array([row["share_negative"] for row in bar])
    wide = BINS[1] - BINS[0]
    style: dict[str, Any] = {"width": wide, "align": "edge", "edgecolor": "white", "lw": 0.4}
    ax.bar(left, share - negative, bottom=negative, color=COLORS[4], **style)
    ax.bar(left, negative, color=COLORS[1], hatch="/////", **style)
    fact = bar[0]
    if fact["n"]:
        ax.axvline(fact["median"], ymax=TOP, color=INK, lw=1.2)
        if not math.isnan(fact["ceiling"]):
            ax.axvline(fact["ceiling"], ymax=TOP, color=INK, lw=1.0, ls=(0, (1, 1.5)))
    falls = f" ({negative.sum():.0%} r < 0)" if negative.any() else ""
    lines = [f"median {fact['median']:.2f}{falls}" if fact["n"] else "R² n/a"]
    medians = {name: fact[f"median_{name}"] for name in groups}
    lines += [f"{groups[name]} {m:.2f}" for name, m in medians.items() if not math.isnan(m)]
    lines += [f"n = {fact['n']}"]
    lines += [f"{fact['undefined']} n/a"] if fact["undefined"] else []
    ax.text(0.03, 0.97, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=SMALL)
    ax.set(xlim=(0, 1), ylim=(0, top / TOP))
    ax.xaxis.set_major_locator(MultipleLocator(0.25))
    ticks = np.asarray(MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(0, top))
    ax.yaxis.set_major_locator(FixedLocator(list(ticks[ticks <= 1.001])))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _histogram_legend(bars: list[Rows]) -> list[Line2D]:
    block: dict[str, Any] = {"ls": "none", "marker": "s", "markersize": 6, "markeredgewidth": 0}
    entries = [key("r ≥ 0", color=COLORS[4], **block)]
    if any(row["share_negative"] for bar in bars for row in bar):
        entries.append(key("r < 0", color=COLORS[1], **block))
    entries.append(key("median", color=INK, lw=1.2))
    if not all(math.isnan(bar[0]["ceiling"]) for bar in bars):
        entries.append(key("noise ceiling (median)", color=INK, lw=1, ls=(0, (1, 1.5))))
    return entries
