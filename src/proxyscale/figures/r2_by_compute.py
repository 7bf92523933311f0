"""Figure 2: R² against the proxy's compute."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import (
    columns,
    fraction,
    log_axis,
    page,
    say_undefined,
    shorten,
    text_width,
)
from proxyscale.figures.signed_r2 import MOST, NO_LEVER, levers, signed_axis, squared
from proxyscale.figures.style import GREY, PALE, POINTS, SMALL, Mark, key, keys, marks
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


SCALE, RIVAL, CHECKPOINT = "scale", "rival", "checkpoint"  # kinds of what is drawn
LEVELS = {SCALE: "distribution", CHECKPOINT: "checkpoint", RIVAL: "rival"}  # in the statistics
APART = 3.0  # a factor of compute between the cheapest scale, one rival and the next
MOST_DECADES = 4  # of compute that are written
STAR: dict[str, Any] = {"marker": "*", "ms": 5.5, "clip_on": False}  # R² of 1 is on the edge
Places = Mapping[str, float]  # where rivals stand on the axis of compute


@figure(
    "compute_fig2",
    caption="R² over the distributions, with the sign of the correlation, against the proxy's "
    "relative compute, a panel per task, a line per group; bars are intervals, bands those of the "
    "noise ceiling. Stars on the left train nothing; dotted lines are checkpoints, whose learning "
    "rate has not come down.",
    exists=lambda facts: facts.compute,
)
def compute(data: FigureData) -> tuple[Figure, Rows]:
    """R² against the proxy's relative compute, a panel per task, a line per group (Fig 2).

    R² has the sign of its correlation. Bars are intervals, drawn side by side; a dashed line is the
    noise ceiling, what a perfect predictor of the reference would reach, its band the interval.
    Scales of the compute of another, as with a smaller learning rate, are crosses beside the line.
    Rivals, which train nothing, are stars left of the axis's compute; the checkpoints of a scale
    are a dotted line of their own, which ends where the scale stands.
    """
    rows = [
        row for group in data.groups for kind in LEVELS for row in _compute_rows(data, group, kind)
    ]
    looks = {
        group: mark._replace(label=_group_label(data, group, rows))
        for group, mark in marks(data.groups, data.style).items()
    }
    places, step = _rival_places(rows), _step(data)
    figure, axes = page(
        [data.style.label(task) for task in data.drawn],
        data.style,
        title=f"Correlation of proxies with reference {data.style.label(data.reference)}"
        + data.some,
        xlabel="compute of the proxy / compute of the reference",
        ylabel="R² over the distributions, with the sign of r",
        legend=[*keys(looks, line=True), *_compute_legend(rows)],
        height=1.6 + _name_room(data, places),
    )
    for ax, task in zip(axes, data.drawn, strict=True):
        mine = [row for row in rows if row["task"] == task]
        signed_axis(ax, [row[end] for row in mine for end in ("signed", "signed_low")])
        for i, group in enumerate(data.groups):
            shift = 10 ** (step * (i - (len(data.groups) - 1) / 2))
            _draw_group(
                ax, [row for row in mine if row["group"] == group], looks[group], shift, places
            )
        _compute_axis(ax, data, places)
        if all(math.isnan(row["value"]) for row in mine):
            say_undefined(ax, "R²")
    return figure, rows


def _step(data: FigureData) -> float:
    """How far groups stand apart, in decades: all of a scale's before the next scale's first."""
    gaps = np.abs(np.diff(np.log10(_places(data, {}))))
    return float(min(0.1, *(0.8 * gap / len(data.groups) for gap in gaps)))


def _group_label(data: FigureData, group: str, rows: Rows) -> str:
    n = max((row["n"] for row in rows if row["group"] == group), default=0)
    name = "all distributions" if group == "all" else data.style.label(group)
    return f"{name} (n = {n})"


def _compute_rows(data: FigureData, group: str, kind: str) -> Rows:
    """Rows of the scales, the checkpoints or the rivals, cheapest first."""
    level = LEVELS[kind]
    r2, pearson = (data.estimates(s, group, level) for s in ("r2", "pearson"))
    limits, least = data.estimates("reference_noise_ceiling", group), levers(data, group, level)
    ratios = data.beside(level)
    named = data.proxies if kind == SCALE else sorted(ratios, key=lambda name: -ratios[name])
    rows = []
    for task in data.drawn:
        for proxy in named:
            estimate, limit = (found.get((task, proxy), Estimate()) for found in (r2, limits))
            r = pearson.get((task, proxy), Estimate())
            own = data.relative_compute(proxy) if kind == SCALE else 1 / ratios[proxy]
            facts = {"relative_compute": own} | estimate._asdict()
            facts |= {"pearson": r.value, "signed": squared(r.value)}
            facts |= {"signed_low": squared(r.low), "signed_high": squared(r.high)}
            facts |= {"ceiling_low": limit.low, "ceiling_high": limit.high}
            facts |= least.get((task, proxy), NO_LEVER)
            variant = data.grid.variants.get(proxy, "")
            place = {"group": group, "task": task, "proxy": proxy, "variant_of": variant}
            rows.append(place | facts | {"kind": kind})
    return rows


def _compute_legend(rows: Rows) -> list[Line2D]:
    entries = []
    if any(not math.isnan(row["ceiling"]) for row in rows):
        entries.append(key("noise ceiling (band: interval)", color=GREY, lw=1.0, ls=(0, (3, 2))))
    if any(row["variant_of"] for row in rows):
        label = "same compute, other settings"
        entries.append(key(label, ls="none", color=GREY, marker="x", ms=4))
    kinds = {row["kind"] for row in rows}
    if RIVAL in kinds:
        entries.append(key("trains nothing", ls="none", color=GREY, marker="*", ms=5.5))
    if CHECKPOINT in kinds:
        label = "checkpoints, not annealed"
        entries.append(key(label, color=GREY, ls=":", lw=0.8, marker=".", ms=3))
    return entries


def _draw_group(ax: Axes, rows: Rows, mark: Mark, shift: float, places: Places) -> None:
    """One group's line, its intervals, and its ceiling; shifted beside the others."""
    every = [row for row in rows if not math.isnan(row["value"])]
    _draw_rivals(ax, [row for row in every if row["kind"] == RIVAL], mark, shift, places)
    _draw_checkpoints(ax, [row for row in every if row["kind"] != RIVAL], mark, shift)
    rows = [row for row in every if row["kind"] == SCALE]
    x = np.array([row["relative_compute"] for row in rows]) * shift
    line = [(a, row["signed"]) for a, row in zip(x, rows, strict=True) if not row["variant_of"]]
    ax.plot(*np.array(line).reshape(-1, 2).T, color=mark.color, ls=mark.dash, lw=1.0, zorder=2)
    for a, row in zip(x, rows, strict=True):
        if row["variant_of"]:
            ax.plot([a], [row["signed"]], ls="none", color=mark.color, marker="x", ms=4, zorder=3)
            continue
        ends = [row["signed_low"], row["signed_high"]]
        ax.plot([a, a], ends, color=mark.color, lw=0.9, alpha=0.7, zorder=1)
        ax.plot([a], [row["signed"]], ls="none", zorder=3, clip_on=False, **mark.look(4.2))
    ceilings = [row for row in rows if not math.isnan(row["ceiling"])]
    if ceilings:
        top = min(ceilings[0]["ceiling"], MOST)
        ax.axhline(top, color=mark.color, lw=0.8, ls=(0, (3, 2)), zorder=0)
        ends = [min(ceilings[0][f"ceiling_{end}"], MOST) for end in ("low", "high")]
        if not math.isnan(sum(ends)):
            ax.axhspan(*ends, color=mark.color, alpha=0.1, lw=0, zorder=0)


def _rival_places(rows: Rows) -> dict[str, float]:
    """Where the rivals stand: left of the least compute of what is trained, cheapest first."""
    trained = [row["relative_compute"] for row in rows if row["kind"] != RIVAL]
    names = dict.fromkeys(row["proxy"] for row in rows if row["kind"] == RIVAL)
    left = min(trained, default=0.1)
    return {name: left / APART ** (len(names) - n) for n, name in enumerate(names)}


def _draw_rivals(ax: Axes, rows: Rows, mark: Mark, shift: float, places: Places) -> None:
    """One group's rivals, as stars."""
    for row in rows:
        x, ends = places[row["proxy"]] * shift, [row["signed_low"], row["signed_high"]]
        ax.plot([x, x], ends, color=mark.color, lw=0.9, alpha=0.7, zorder=1)
        ax.plot([x], [row["signed"]], ls="none", color=mark.color, zorder=3, **STAR)


def _draw_checkpoints(ax: Axes, rows: Rows, mark: Mark, shift: float) -> None:
    """The checkpoints of each scale as a dotted line, up to its end."""
    early: dict[str, Rows] = {}
    for row in rows:
        if row["kind"] == CHECKPOINT:
            early.setdefault(row["proxy"].partition("@")[0], []).append(row)
    for scale, mine in early.items():
        ends = [row for row in rows if row["proxy"] == scale]
        x, y = ([row[key] for row in (*mine, *ends)] for key in ("relative_compute", "signed"))
        at = np.array(x) * shift
        ax.plot(at, y, color=mark.color, ls=":", lw=0.8, marker=".", ms=3, zorder=1)


def _compute_axis(ax: Axes, data: FigureData, rivals: Places) -> None:
    """A log axis of relative compute: fractions below, the proxies' names above; on the left, where
    no compute is, the rivals' names.
    """
    places = _places(data, rivals)
    log_axis(ax)
    ax.set_xlim(min(places) / 1.6, 1.6)
    decades = np.arange(0, np.log10(places[len(rivals)]) - 1e-9, -1)
    shown = decades[:: math.ceil(len(decades) / MOST_DECADES)]
    ax.set_xticks(10.0**shown, [fraction(10.0**decade, None) for decade in shown])
    if rivals:
        ax.axvline(max(rivals.values()) * APART**0.5, color=PALE, lw=0.8)
    ax.grid(axis="y", color=PALE, lw=0.4)
    top = ax.secondary_xaxis("top")
    top.xaxis.minorticks_off()
    names = _scale_names(data, rivals)
    top.set_xticks(places, names, rotation=90 if _name_room(data, rivals) else 0)
    top.tick_params(colors=GREY, labelcolor=GREY, labelsize=SMALL, length=2, pad=1)
    top.spines["top"].set_visible(False)


def _lined(data: FigureData) -> list[str]:
    """The proxies that lines run through: no two of one compute."""
    return [proxy for proxy in data.proxies if proxy not in data.grid.variants]


def _places(data: FigureData, rivals: Places) -> list[float]:
    """Where the rivals and the scales of the line stand, the reference last."""
    return [*rivals.values(), *(data.relative_compute(proxy) for proxy in _lined(data)), 1.0]


def _scale_names(data: FigureData, rivals: Places) -> list[str]:
    """The labels of rivals and scales, the reference last, shortened to 0.8 inches."""
    names = [*rivals, *_lined(data), data.reference]
    return [shorten(data.style.label(name), 0.8 * POINTS, SMALL) for name in names]


def _name_room(data: FigureData, rivals: Places) -> float:
    """Inches that the names need above the axis, being upright; 0 where they can lie."""
    widths = [text_width(name, SMALL) for name in _scale_names(data, rivals)]
    logs = np.log(_places(data, rivals))
    wide = (data.style.width / columns(len(data.drawn)) - 0.5) * POINTS
    apart = np.diff(logs) / (np.ptp(logs) + 2 * math.log(1.6)) * wide
    needed = [(a + b) / 2 + 3 for a, b in itertools.pairwise(widths)]
    lie = (apart >= needed).all() and max(widths) < 0.3 * wide
    return 0.0 if lie else max(widths) / POINTS
