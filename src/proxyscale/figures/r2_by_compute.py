"""Figure 2: R² against the proxy's compute."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import log_axis, page, say_undefined, shorten, text_width
from proxyscale.figures.style import GREY, PALE, POINTS, SMALL, Mark, key, keys
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


@figure(
    "compute_fig2",
    caption="R² over the distributions against the proxy's relative compute, a line per task; bars "
    "are intervals, hollow points have a negative correlation.",
    exists=lambda facts: facts.compute,
)
def compute(data: FigureData) -> tuple[Figure, Rows]:
    """R² against the proxy's relative compute, a line per task, a panel per group (Fig 2).

    Bars are intervals, drawn side by side; hollow points have r < 0; a dash at a relative compute
    of 1 is the task's noise ceiling: what a perfect predictor of the reference would reach. Scales
    of the compute of another, as with a smaller learning rate, stand beside the line as crosses.
    """
    looks = data.task_marks
    rows = [row for group in data.groups for row in _compute_rows(data, group)]
    figure, axes = page(
        [_group_title(data, group, rows) for group in data.groups],
        data.style,
        title=f"Correlation of proxies with reference {data.style.label(data.reference)}"
        + data.some,
        xlabel="compute of the proxy / compute of the reference",
        ylabel="R² over the distributions",
        legend=[*keys(looks, line=True), *_compute_legend(rows)],
        height=2.2 + _name_room(data),
        wide=True,
    )
    for ax, group in zip(axes, data.groups, strict=True):
        for i, task in enumerate(data.drawn):
            mine = [row for row in rows if (row["group"], row["task"]) == (group, task)]
            shift = (i - (len(data.drawn) - 1) / 2) / max(len(data.drawn), 4)
            _draw_task(ax, mine, looks[task], 10 ** (0.16 * shift))
        _compute_axis(ax, data)
        ax.set_ylim(-0.03, 1.04)
        if all(math.isnan(row["value"]) for row in rows if row["group"] == group):
            say_undefined(ax, "R²")
    return figure, rows


def _group_title(data: FigureData, group: str, rows: Rows) -> str:
    n = max((row["n"] for row in rows if row["group"] == group), default=0)
    name = "all distributions" if group == "all" else data.style.label(group)
    return f"{name} (n = {n})"


def _compute_rows(data: FigureData, group: str) -> Rows:
    r2, pearson = data.estimates("r2", group), data.estimates("pearson", group)
    rows = []
    for task in data.drawn:
        for proxy in data.proxies:
            estimate = r2.get((task, proxy), Estimate())
            facts = {"relative_compute": data.relative_compute(proxy)} | estimate._asdict()
            facts["pearson"] = pearson.get((task, proxy), Estimate()).value
            variant = data.grid.variants.get(proxy, "")
            place = {"group": group, "task": task, "proxy": proxy, "variant_of": variant}
            rows.append(place | facts)
    return rows


def _compute_legend(rows: Rows) -> list[Line2D]:
    hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": GREY}
    entries = []
    if any(not math.isnan(row["ceiling"]) for row in rows):
        entries.append(key("noise ceiling", color=GREY, lw=1.6))
    if any(row["pearson"] < 0 for row in rows):
        entries.append(key("r < 0", ls="none", markersize=4.5, **hollow))
    if any(row["variant_of"] for row in rows):
        label = "same compute, other settings"
        entries.append(key(label, ls="none", color=GREY, marker="x", ms=4))
    return entries


def _draw_task(ax: Axes, rows: Rows, mark: Mark, shift: float) -> None:
    """One task's line, its intervals, and its ceiling as a dash; shifted beside the others."""
    rows = [row for row in rows if not math.isnan(row["value"])]
    x = np.array([row["relative_compute"] for row in rows]) * shift
    line = [(a, row["value"]) for a, row in zip(x, rows, strict=True) if not row["variant_of"]]
    ax.plot(*np.array(line).reshape(-1, 2).T, color=mark.color, ls=mark.dash, lw=1.0, zorder=2)
    for a, row in zip(x, rows, strict=True):
        if row["variant_of"]:
            ax.plot([a], [row["value"]], ls="none", color=mark.color, marker="x", ms=4, zorder=3)
            continue
        ends = [row["low"], row["high"]]
        ax.plot([a, a], ends, color=mark.color, lw=0.8, alpha=0.45, zorder=1)
        shown = mark._replace(filled=not row["pearson"] < 0)
        ax.plot([a], [row["value"]], ls="none", zorder=3, **shown.look(4.2))
    ceilings = [row["ceiling"] for row in rows if not math.isnan(row["ceiling"])]
    if ceilings:
        ends = [shift**2 / 1.06, shift**2 * 1.06]
        ax.plot(ends, [np.median(ceilings)] * 2, color=mark.color, lw=1.6, solid_capstyle="butt")


def _compute_axis(ax: Axes, data: FigureData) -> None:
    """A log axis of relative compute: fractions below, the proxies' names above."""
    places = [*(data.relative_compute(proxy) for proxy in _lined(data)), 1.0]
    log_axis(ax)
    ax.set_xlim(min(places) / 1.6, 1.6)
    ax.grid(axis="y", color=PALE, lw=0.4)
    top = ax.secondary_xaxis("top")
    top.xaxis.minorticks_off()
    names = _scale_names(data)
    top.set_xticks(places, names, rotation=90 if _name_room(data) else 0)
    top.tick_params(colors=GREY, labelcolor=GREY, labelsize=SMALL, length=2, pad=1)
    top.spines["top"].set_visible(False)


def _lined(data: FigureData) -> list[str]:
    """The proxies that lines run through: no two of one compute."""
    return [proxy for proxy in data.proxies if proxy not in data.grid.variants]


def _scale_names(data: FigureData) -> list[str]:
    """The scales' labels, the reference last, shortened to 0.8 inches."""
    scales = [*_lined(data), data.reference]
    return [shorten(data.style.label(scale), 0.8 * POINTS, SMALL) for scale in scales]


def _name_room(data: FigureData) -> float:
    """Inches that the names need above the axis, being upright; 0 where they can lie."""
    widest = max(text_width(name, SMALL) for name in _scale_names(data))
    return widest / POINTS if widest > 20 or len(data.proxies) > 7 else 0.0
