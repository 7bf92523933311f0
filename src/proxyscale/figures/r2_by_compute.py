"""Figure 2: R² against the proxy's compute."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import columns, log_axis, page, say_undefined, shorten, text_width
from proxyscale.figures.signed_r2 import MOST, signed_axis, squared
from proxyscale.figures.style import GREY, PALE, POINTS, SMALL, Mark, key, keys, marks
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


@figure(
    "compute_fig2",
    caption="R² over the distributions, with the sign of the correlation, against the proxy's "
    "relative compute, a panel per task, a line per group; bars are intervals, bands those of the "
    "noise ceiling.",
    exists=lambda facts: facts.compute,
)
def compute(data: FigureData) -> tuple[Figure, Rows]:
    """R² against the proxy's relative compute, a panel per task, a line per group (Fig 2).

    R² has the sign of its correlation. Bars are intervals, drawn side by side; a dashed line is the
    noise ceiling, what a perfect predictor of the reference would reach, its band the interval.
    Scales of the compute of another, as with a smaller learning rate, are crosses beside the line.
    """
    rows = [row for group in data.groups for row in _compute_rows(data, group)]
    looks = {
        group: mark._replace(label=_group_label(data, group, rows))
        for group, mark in marks(data.groups, data.style).items()
    }
    figure, axes = page(
        [data.style.label(task) for task in data.drawn],
        data.style,
        title=f"Correlation of proxies with reference {data.style.label(data.reference)}"
        + data.some,
        xlabel="compute of the proxy / compute of the reference",
        ylabel="R² over the distributions, with the sign of r",
        legend=[*keys(looks, line=True), *_compute_legend(rows)],
        height=1.6 + _name_room(data),
    )
    for ax, task in zip(axes, data.drawn, strict=True):
        mine = [row for row in rows if row["task"] == task]
        signed_axis(ax, [row[end] for row in mine for end in ("signed", "signed_low")])
        for i, group in enumerate(data.groups):
            shift = 10 ** (0.1 * (i - (len(data.groups) - 1) / 2))
            _draw_group(ax, [row for row in mine if row["group"] == group], looks[group], shift)
        _compute_axis(ax, data)
        if all(math.isnan(row["value"]) for row in mine):
            say_undefined(ax, "R²")
    return figure, rows


def _group_label(data: FigureData, group: str, rows: Rows) -> str:
    n = max((row["n"] for row in rows if row["group"] == group), default=0)
    name = "all distributions" if group == "all" else data.style.label(group)
    return f"{name} (n = {n})"


def _compute_rows(data: FigureData, group: str) -> Rows:
    r2, pearson = data.estimates("r2", group), data.estimates("pearson", group)
    limits = data.estimates("reference_noise_ceiling", group)
    rows = []
    for task in data.drawn:
        for proxy in data.proxies:
            estimate, limit = (found.get((task, proxy), Estimate()) for found in (r2, limits))
            r = pearson.get((task, proxy), Estimate())
            facts = {"relative_compute": data.relative_compute(proxy)} | estimate._asdict()
            facts |= {"pearson": r.value, "signed": squared(r.value)}
            facts |= {"signed_low": squared(r.low), "signed_high": squared(r.high)}
            facts |= {"ceiling_low": limit.low, "ceiling_high": limit.high}
            variant = data.grid.variants.get(proxy, "")
            place = {"group": group, "task": task, "proxy": proxy, "variant_of": variant}
            rows.append(place | facts)
    return rows


def _compute_legend(rows: Rows) -> list[Line2D]:
    entries = []
    if any(not math.isnan(row["ceiling"]) for row in rows):
        entries.append(key("noise ceiling (band: interval)", color=GREY, lw=1.0, ls=(0, (3, 2))))
    if any(row["variant_of"] for row in rows):
        label = "same compute, other settings"
        entries.append(key(label, ls="none", color=GREY, marker="x", ms=4))
    return entries


def _draw_group(ax: Axes, rows: Rows, mark: Mark, shift: float) -> None:
    """One group's line, its intervals, and its ceiling; shifted beside the others."""
    rows = [row for row in rows if not math.isnan(row["value"])]
    x = np.array([row["relative_compute"] for row in rows]) * shift
    line = [(a, row["signed"]) for a, row in zip(x, rows, strict=True) if not row["variant_of"]]
    ax.plot(*np.array(line).reshape(-1, 2).T, color=mark.color, ls=mark.dash, lw=1.0, zorder=2)
    for a, row in zip(x, rows, strict=True):
        if row["variant_of"]:
            ax.plot([a], [row["signed"]], ls="none", color=mark.color, marker="x", ms=4, zorder=3)
            continue
        ends = [row["signed_low"], row["signed_high"]]
        ax.plot([a, a], ends, color=mark.color, lw=0.9, alpha=0.7, zorder=1)
        ax.plot([a], [row["signed"]], ls="none", zorder=3, **mark.look(4.2))
    ceilings = [row for row in rows if not math.isnan(row["ceiling"])]
    if ceilings:
        top = min(ceilings[0]["ceiling"], MOST)
        ax.axhline(top, color=mark.color, lw=0.8, ls=(0, (3, 2)), zorder=0)
        ends = [min(ceilings[0][f"ceiling_{end}"], MOST) for end in ("low", "high")]
        if not math.isnan(sum(ends)):
            ax.axhspan(*ends, color=mark.color, alpha=0.1, lw=0, zorder=0)


def _compute_axis(ax: Axes, data: FigureData) -> None:
    """A log axis of relative compute: fractions below, the proxies' names above."""
    places = _places(data)
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


def _places(data: FigureData) -> list[float]:
    """Where the scales of the line stand, the reference last."""
    return [*(data.relative_compute(proxy) for proxy in _lined(data)), 1.0]


def _scale_names(data: FigureData) -> list[str]:
    """The scales' labels, the reference last, shortened to 0.8 inches."""
    scales = [*_lined(data), data.reference]
    return [shorten(data.style.label(scale), 0.8 * POINTS, SMALL) for scale in scales]


def _name_room(data: FigureData) -> float:
    """Inches that the names need above the axis, being upright; 0 where they can lie."""
    widths = [text_width(name, SMALL) for name in _scale_names(data)]
    logs = np.log(_places(data))
    wide = (data.style.width / columns(len(data.drawn)) - 0.5) * POINTS
    apart = np.diff(logs) / (np.ptp(logs) + 2 * math.log(1.6)) * wide
    needed = [(a + b) / 2 + 3 for a, b in itertools.pairwise(widths)]
    lie = (apart >= needed).all() and max(widths) < 0.3 * wide
    return 0.0 if lie else max(widths) / POINTS
