"""Figure 2: R² against the proxy's compute."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import fraction, log_axis, page, say_undefined, shorten, text_width
from proxyscale.figures.style import GREY, PALE, POINTS, SMALL, Mark, key, keys
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


SCALE, RIVAL, CHECKPOINT = "scale", "rival", "checkpoint"  # kinds of what is drawn
LEVELS = {SCALE: "distribution", CHECKPOINT: "checkpoint", RIVAL: "rival"}  # in the statistics
APART = 3.0  # a factor of compute between the cheapest scale, one rival and the next


@figure(
    "compute_fig2",
    caption="R² over the distributions against the proxy's relative compute, a line per task; bars "
    "are intervals, hollow points have a negative correlation. On the left is what trains nothing; "
    "thin lines are checkpoints, whose learning rate has not come down.",
    exists=lambda facts: facts.compute,
)
def compute(data: FigureData) -> tuple[Figure, Rows]:
    """R² against the proxy's relative compute, a line per task, a panel per group (Fig 2).

    Bars are intervals, drawn side by side; hollow points have r < 0; a dash at a relative compute
    of 1 is the task's noise ceiling: what a perfect predictor of the reference would reach. Scales
    of the compute of another, as with a smaller learning rate, stand beside the line as crosses.
    Rivals, which train nothing, stand as stars left of the axis's compute; the checkpoints of a
    scale are a thin line of their own, which ends where the scale stands.
    """
    looks = data.task_marks
    rows = [
        row for group in data.groups for kind in LEVELS for row in _compute_rows(data, group, kind)
    ]
    places = _rival_places(data, rows)
    figure, axes = page(
        [_group_title(data, group, rows) for group in data.groups],
        data.style,
        title=f"Correlation of proxies with reference {data.style.label(data.reference)}"
        + data.some,
        xlabel="compute of the proxy / compute of the reference",
        ylabel="R² over the distributions",
        legend=[*keys(looks, line=True), *_compute_legend(rows)],
        height=2.2 + _name_room(data, places),
        wide=True,
    )
    for ax, group in zip(axes, data.groups, strict=True):
        for i, task in enumerate(data.drawn):
            mine = [row for row in rows if (row["group"], row["task"]) == (group, task)]
            shift = (i - (len(data.drawn) - 1) / 2) / max(len(data.drawn), 4)
            _draw_task(ax, mine, looks[task], 10 ** (0.16 * shift), places)
        _compute_axis(ax, data, places)
        ax.set_ylim(-0.03, 1.04)
        if all(math.isnan(row["value"]) for row in rows if row["group"] == group):
            say_undefined(ax, "R²")
    return figure, rows


def _group_title(data: FigureData, group: str, rows: Rows) -> str:
    n = max((row["n"] for row in rows if row["group"] == group), default=0)
    name = "all distributions" if group == "all" else data.style.label(group)
    return f"{name} (n = {n})"


def _compute_rows(data: FigureData, group: str, kind: str) -> Rows:
    """Rows of the scales, the checkpoints or the rivals, cheapest first."""
    level = LEVELS[kind]
    r2, pearson = (data.estimates(s, group, level) for s in ("r2", "pearson"))
    ratios = data.beside(level)
    named = data.proxies if kind == SCALE else sorted(ratios, key=lambda name: -ratios[name])
    rows = []
    for task in data.drawn:
        for proxy in named:
            estimate = r2.get((task, proxy), Estimate())
            own = data.relative_compute(proxy) if kind == SCALE else 1 / ratios[proxy]
            facts = {"relative_compute": own} | estimate._asdict()
            facts["pearson"] = pearson.get((task, proxy), Estimate()).value
            variant = data.grid.variants.get(proxy, "")
            place = {"group": group, "task": task, "proxy": proxy, "variant_of": variant}
            rows.append(place | facts | {"kind": kind})
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
    kinds = {row["kind"] for row in rows}
    if RIVAL in kinds:
        entries.append(key("trains nothing", ls="none", color=GREY, marker="*", ms=5.5))
    if CHECKPOINT in kinds:
        entries.append(
            key("checkpoints, not annealed", color=GREY, ls=":", lw=0.8, marker=".", ms=3)
        )
    return entries


def _draw_task(ax: Axes, rows: Rows, mark: Mark, shift: float, places: Mapping[str, float]) -> None:
    """One task's line, its intervals, and its ceiling as a dash; shifted beside the others."""
    every = [row for row in rows if not math.isnan(row["value"])]
    _draw_rivals(ax, [row for row in every if row["kind"] == RIVAL], mark, shift, places)
    _draw_checkpoints(ax, [row for row in every if row["kind"] != RIVAL], mark, shift)
    rows = [row for row in every if row["kind"] == SCALE]
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


def _rival_places(data: FigureData, rows: Rows) -> dict[str, float]:
    """Where the rivals stand: left of the least compute of what is trained, cheapest first."""
    trained = [row["relative_compute"] for row in rows if row["kind"] != RIVAL]
    names = dict.fromkeys(row["proxy"] for row in rows if row["kind"] == RIVAL)
    left = min(trained, default=0.1)
    return {name: left / APART ** (len(names) - n) for n, name in enumerate(names)}


def _draw_rivals(
    ax: Axes, rows: Rows, mark: Mark, shift: float, places: Mapping[str, float]
) -> None:
    """One task's rivals as stars, hollow where r < 0."""
    for row in rows:
        x = places[row["proxy"]] * shift
        ax.plot([x, x], [row["low"], row["high"]], color=mark.color, lw=0.8, alpha=0.45, zorder=1)
        face = "white" if row["pearson"] < 0 else mark.color
        look: dict[str, Any] = {"marker": "*", "ms": 5.5, "color": mark.color, "mfc": face}
        ax.plot([x], [row["value"]], ls="none", zorder=3, **look)


def _draw_checkpoints(ax: Axes, rows: Rows, mark: Mark, shift: float) -> None:
    """The checkpoints of each scale as a thin line, up to its end."""
    early: dict[str, Rows] = {}
    for row in rows:
        if row["kind"] == CHECKPOINT:
            early.setdefault(row["proxy"].partition("@")[0], []).append(row)
    for scale, mine in early.items():
        ends = [row for row in rows if row["proxy"] == scale]
        x, y = ([row[key] for row in (*mine, *ends)] for key in ("relative_compute", "value"))
        ax.plot(
            np.array(x) * shift, y, color=mark.color, ls=":", lw=0.8, marker=".", ms=3, zorder=1
        )


def _compute_axis(ax: Axes, data: FigureData, rivals: Mapping[str, float]) -> None:
    """A log axis of relative compute: fractions below, the proxies' names above; on the left, where
    no compute is, the rivals' names."""
    scales = [*(data.relative_compute(proxy) for proxy in _lined(data)), 1.0]
    places = [*rivals.values(), *scales]
    edge = max(rivals.values(), default=0.0) * APART**0.5
    log_axis(ax, lambda x, place: fraction(x, place) if x > edge else "")
    ax.set_xlim(min(places) / 1.6, 1.6)
    if rivals:
        ax.axvline(edge, color=PALE, lw=0.8)
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


def _scale_names(data: FigureData, rivals: Iterable[str]) -> list[str]:
    """The labels of rivals and scales, the reference last, shortened to 0.8 inches."""
    names = [*rivals, *_lined(data), data.reference]
    return [shorten(data.style.label(name), 0.8 * POINTS, SMALL) for name in names]


def _name_room(data: FigureData, rivals: Iterable[str]) -> float:
    """Inches that the names need above the axis, being upright; 0 where they can lie."""
    names = _scale_names(data, rivals)
    widest = max(text_width(name, SMALL) for name in names)
    return widest / POINTS if widest > 20 or len(names) > 8 else 0.0
