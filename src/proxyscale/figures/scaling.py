"""Figures over scales: R² against the proxy's compute (2) and against its accuracy (3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import Estimate, Readout, Rows
from proxyscale.figures.layout import page, say_undefined, shorten, text_width
from proxyscale.figures.style import GREY, PALE, POINTS, SMALL, Mark, keys, marks


def compute(readout: Readout) -> tuple[Figure, Rows]:
    """R² against the proxy's relative compute, a line per task, a panel per group (Fig 2).

    Bars are intervals, drawn side by side; hollow points have r < 0; a dash at a relative compute
    of 1 is the task's noise ceiling: what a perfect predictor of the reference would reach. Scales
    of the compute of another, as with a smaller learning rate, stand beside the line as crosses.
    """
    looks = marks(readout.tasks, readout.style)
    rows = [row for group in readout.groups for row in _compute_rows(readout, group)]
    figure, axes = page(
        [_group_title(readout, group, rows) for group in readout.groups],
        readout.style,
        title=f"Correlation of proxies with reference {readout.style.label(readout.reference)}",
        xlabel="compute of the proxy / compute of the reference",
        ylabel="R² over the distributions",
        legend=[*keys(looks, line=True), *_compute_legend(rows)],
        height=2.2 + _name_room(readout),
        wide=True,
    )
    for ax, group in zip(axes, readout.groups, strict=True):
        for i, task in enumerate(readout.tasks):
            mine = [row for row in rows if (row["group"], row["task"]) == (group, task)]
            shift = (i - (len(readout.tasks) - 1) / 2) / max(len(readout.tasks), 4)
            _draw_task(ax, mine, looks[task], 10 ** (0.16 * shift))
        _compute_axis(ax, readout)
        ax.set_ylim(-0.03, 1.04)
        if all(math.isnan(row["value"]) for row in rows if row["group"] == group):
            say_undefined(ax, "R²")
    return figure, rows


def _group_title(readout: Readout, group: str, rows: Rows) -> str:
    n = max((row["n"] for row in rows if row["group"] == group), default=0)
    name = "all distributions" if group == "all" else readout.style.label(group)
    return f"{name} (n = {n})"


def _compute_rows(readout: Readout, group: str) -> Rows:
    r2, pearson = readout.estimates("r2", group), readout.estimates("pearson", group)
    rows = []
    for task in readout.tasks:
        for proxy in readout.proxies:
            estimate = r2.get((task, proxy), Estimate())
            facts = {"relative_compute": readout.relative_compute(proxy)} | estimate._asdict()
            facts["pearson"] = pearson.get((task, proxy), Estimate()).value
            variant = readout.grid.variants.get(proxy, "")
            place = {"group": group, "task": task, "proxy": proxy, "variant_of": variant}
            rows.append(place | facts)
    return rows


def _compute_legend(rows: Rows) -> list[Line2D]:
    hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": GREY}
    entries = []
    if any(not math.isnan(row["ceiling"]) for row in rows):
        entries.append(Line2D([], [], color=GREY, lw=1.6, label="noise ceiling"))
    if any(row["pearson"] < 0 for row in rows):
        entries.append(Line2D([], [], ls="none", markersize=4.5, label="r < 0", **hollow))
    if any(row["variant_of"] for row in rows):
        label = "same compute, other settings"
        entries.append(Line2D([], [], ls="none", color=GREY, marker="x", ms=4, label=label))
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


def _compute_axis(ax: Axes, readout: Readout) -> None:
    """A log axis of relative compute: fractions below, the proxies' names above."""
    places = [*(readout.relative_compute(proxy) for proxy in _lined(readout)), 1.0]
    ax.set_xscale("log")
    ax.set_xlim(min(places) / 1.6, 1.6)
    ax.xaxis.set_major_locator(LogLocator(10))
    ax.xaxis.set_major_formatter(FuncFormatter(fraction))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", color=PALE, lw=0.4)
    top = ax.secondary_xaxis("top")
    top.xaxis.set_minor_locator(NullLocator())
    names = _scale_names(readout)
    top.set_xticks(places, names, rotation=90 if _name_room(readout) else 0)
    top.tick_params(colors=GREY, labelcolor=GREY, labelsize=SMALL, length=2, pad=1)
    top.spines["top"].set_visible(False)


def _lined(readout: Readout) -> list[str]:
    """The proxies that lines run through: no two of one compute."""
    return [proxy for proxy in readout.proxies if proxy not in readout.grid.variants]


def _scale_names(readout: Readout) -> list[str]:
    """The scales' labels, the reference last, shortened to 0.8 inches."""
    scales = [*_lined(readout), readout.reference]
    return [shorten(readout.style.label(scale), 0.8 * POINTS, SMALL) for scale in scales]


def _name_room(readout: Readout) -> float:
    """Inches that the names need above the axis, being upright; 0 where they can lie."""
    widest = max(text_width(name, SMALL) for name in _scale_names(readout))
    return widest / POINTS if widest > 20 or len(readout.proxies) > 7 else 0.0


def fraction(share: float, _: int | None = None) -> str:
    """A share of the reference's compute as people write it: 1/100."""
    if share >= 1:
        return f"{share:g}"
    return f"1/{1 / share:,.0f}" if share < 0.01 else f"1/{1 / share:.3g}"


def accuracy(readout: Readout) -> tuple[Figure, Rows]:
    """R² against the proxy's accuracy above chance, a panel per task, a point per proxy (Fig 3).

    Accuracy is the mean over distributions and runs, its interval that over test examples (normal
    approximation); hollow points are proxies whose interval reaches chance.
    """
    tasks = [task for task in readout.tasks if _answers(readout, task)]
    if not tasks:
        hint = "give the losses a column `correct`"
        raise UserError("no task has accuracies", where="accuracy_fig3", hint=hint)
    looks = marks(readout.tasks, readout.style)
    rows = _accuracy_rows(readout, tasks)
    hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": GREY}
    chance = Line2D([], [], ls="none", markersize=4.5, label="proxy at chance", **hollow)
    figure, axes = page(
        [readout.style.label(task) for task in tasks],
        readout.style,
        title=f"Correlation with {readout.style.label(readout.reference)} and accuracy of proxies",
        xlabel="accuracy of the proxy − chance",
        ylabel="R² over the distributions",
        legend=[chance],
        height=1.5,
    )
    for ax, task in zip(axes, tasks, strict=True):
        ax.axvline(0, color=GREY, lw=0.8, ls=(0, (3, 2)))
        _draw_accuracy(ax, [row for row in rows if row["task"] == task], looks[task])
        ax.set_ylim(-0.03, 1.04)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.grid(axis="y", color=PALE, lw=0.4)
    return figure, rows


def _answers(readout: Readout, task: str) -> bool:
    correct = readout.losses.filter(pc.equal(readout.losses["task"], task))["correct"]
    return bool(correct.null_count < len(correct))


def _accuracy_rows(readout: Readout, tasks: Sequence[str]) -> Rows:
    r2 = readout.estimates("r2")
    compared = pa.array(readout.grid.distributions)
    losses = readout.losses.filter(pc.is_in(readout.losses["distribution"], value_set=compared))
    rows = []
    for task in tasks:
        chance = readout.chance(task)
        for proxy in readout.proxies:
            mine = pc.and_(pc.equal(losses["task"], task), pc.equal(losses["scale"], proxy))
            correct = losses.filter(mine).select(["example", "correct"])
            shares = correct.group_by("example").aggregate([("correct", "mean")])["correct_mean"]
            above = shares.to_numpy() - chance
            half = 1.96 * above.std(ddof=1) / math.sqrt(len(above)) if len(above) > 1 else math.inf
            facts = {"accuracy": float(above.mean() + chance), "chance": chance}
            facts |= {"above_chance": float(above.mean()), "half_interval": float(half)}
            at_chance = bool(above.mean() - half <= 0)
            estimate = r2.get((task, proxy), Estimate())._asdict()
            rows.append({"task": task, "proxy": proxy, "at_chance": at_chance} | facts | estimate)
    return rows


def _draw_accuracy(ax: Axes, rows: Rows, mark: Mark) -> None:
    x, y = [row["above_chance"] for row in rows], [row["value"] for row in rows]
    ax.plot(x, y, color=mark.color, ls=mark.dash, lw=0.9, alpha=0.8, zorder=2)
    for row in rows:
        thin: dict[str, Any] = {"color": mark.color, "lw": 0.7, "alpha": 0.4, "zorder": 1}
        if math.isfinite(row["half_interval"]):
            ends = [row["above_chance"] + sign * row["half_interval"] for sign in (-1, 1)]
            ax.plot(ends, [row["value"]] * 2, **thin)
        ax.plot([row["above_chance"]] * 2, [row["low"], row["high"]], **thin)
        shown = mark._replace(filled=not row["at_chance"])
        ax.plot([row["above_chance"]], [row["value"]], ls="none", zorder=3, **shown.look())
