"""Figure 8: what data that is selected through proxies does for the model that trains on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from proxyscale.figures.layout import save, say_undefined, shorten
from proxyscale.figures.scaling import fraction
from proxyscale.figures.style import (
    COLORS,
    GREY,
    INK,
    LINE,
    PALE,
    POINTS,
    RC,
    SMALL,
    Style,
    keys,
    marks,
)

Rows = Sequence[Mapping[str, Any]]
SHAPES = {"dsdm": "o", "dsir": "s", "classifier": "^"}
QUANTITIES = {"loss": "holdout loss (nats per token)", "accuracy": "holdout accuracy"}
OTHERS = "gain on other tasks (nats)"
LEGEND_COLUMNS = 3


def draw_gains(stem: Path, rows: Rows, reference: str, style: Mapping[str, Any]) -> None:
    """Draw the rows of `gains`: a column for each task that data was selected for.

    Loss and, where the task has it, accuracy on the task's holdout against the relative training
    compute of one proxy, and the gain on all other tasks. Bands and bars are intervals over seeds;
    hollow are accuracies whose interval reaches chance.
    """
    look = Style.of(style)
    tasks = list(dict.fromkeys(row["selected_for"] for row in rows if row["selected_for"]))
    known = [q for q in QUANTITIES if any(_own(rows, task, q) for task in tasks)]
    down = len(known) + 1
    with mpl.rc_context(RC):
        width = max(look.column, min(look.width, 2.75 * len(tasks)))
        entries = _legend(rows, look)
        tall, foot = 1.65 * down + 0.7, LINE * -(-len(entries) // LEGEND_COLUMNS) + 0.1
        figure = Figure(figsize=(width, tall + foot), layout="constrained")
        body, below = figure.subfigures(2, 1, height_ratios=[tall, foot], squeeze=False).ravel()
        axes = body.subplots(down, len(tasks), squeeze=False)
        colors = _colors(rows)
        for column, task in zip(axes.T, tasks, strict=True):
            column[0].set_title(f"selected for {look.label(task)}")
            for ax, quantity in zip(column, known, strict=False):
                _draw_own(ax, rows, task, quantity, colors)
            _draw_others(column[-1], rows, task, look)
        for row, label in zip(axes, [*(QUANTITIES[q] for q in known), OTHERS], strict=True):
            row[0].set_ylabel(label)
        body.suptitle(f"{look.label(reference)} trained on data that proxies selected", color=INK)
        body.supxlabel(f"training compute of one proxy / of one {look.label(reference)}")
        below.legend(handles=entries, loc="center", ncols=LEGEND_COLUMNS, borderpad=0)
        save(stem, figure, list(map(dict, rows)))


def _colors(rows: Rows) -> dict[float, str]:
    """A colour for each fraction."""
    return dict(zip(dict.fromkeys(row["fraction"] for row in rows), COLORS, strict=False))


def _own(rows: Rows, task: str, quantity: str) -> Rows:
    """The selections for a task, and the random subsets, measured on the task itself."""
    return [
        row
        for row in rows
        if row["measured_on"] == task
        and row["selected_for"] in (task, None)
        and row[quantity] is not None
    ]


def _place(row: Mapping[str, Any], rows: Rows) -> float:
    """Where a selection stands: at its proxy's compute, or left of all where it has none."""
    if row["relative_compute"]:
        return float(row["relative_compute"])
    least = min(float(r["relative_compute"]) for r in rows if r["relative_compute"])
    return least / {"dsir": 6.0, "classifier": 3.2}[row["method"]]


def _draw_own(ax: Axes, rows: Rows, task: str, quantity: str, colors: Mapping[float, str]) -> None:
    own = _own(rows, task, quantity)
    if not own:
        ax.set_xticks([])
        ax.set_yticks([])
        return say_undefined(ax, quantity)
    shifts = {share: 1.06 ** (i - (len(colors) - 1) / 2) for i, share in enumerate(colors)}
    for row in own:
        color = colors[row["fraction"]]
        ends = [row[f"{quantity}_low"], row[f"{quantity}_high"]]
        if row["method"] == "random":
            ax.axhspan(*ends, color=color, alpha=0.15, lw=0)
            ax.axhline(row[quantity], color=color, lw=0.8, ls=(0, (3, 2)))
            continue
        x = _place(row, own) * shifts[row["fraction"]]
        ax.plot([x, x], ends, color=color, lw=0.8, alpha=0.5)
        shape: dict[str, Any] = {
            "marker": SHAPES[row["method"]],
            "markersize": 4.5,
            "markeredgecolor": "white",
            "markeredgewidth": 0.4,
            "clip_on": False,  # accuracies of zero stand on the edge
        }
        if quantity == "accuracy" and _at_chance(row):
            shape |= {"markerfacecolor": "white", "markeredgecolor": color, "markeredgewidth": 0.9}
        ax.plot([x], [row[quantity]], ls="none", color=color, **shape)
    for share, color in colors.items():
        line = [row for row in own if row["fraction"] == share and row["relative_compute"]]
        line = sorted(line, key=lambda row: row["relative_compute"])
        x = [row["relative_compute"] * shifts[share] for row in line]
        ax.plot(x, [row[quantity] for row in line], color=color, lw=1.0, zorder=1)
    _compute_axis(ax, own)
    if quantity == "accuracy":
        ax.set_ylim(bottom=0)


def _at_chance(row: Mapping[str, Any]) -> bool:
    """Whether an accuracy cannot be told from a guess."""
    return row["accuracy"] is not None and row["accuracy_low"] <= row["chance"]


def _draw_others(ax: Axes, rows: Rows, task: str, style: Style) -> None:
    """What a selection for one task does to the others: the gain there, of the largest share."""
    largest = max(row["fraction"] for row in rows)
    mine = [r for r in rows if r["selected_for"] == task and r["fraction"] == largest]
    looks = marks(list(dict.fromkeys(row["measured_on"] for row in rows)), style)
    for other in dict.fromkeys(row["measured_on"] for row in mine):
        if other == task:
            continue
        line = sorted(
            (row for row in mine if row["measured_on"] == other and row["relative_compute"]),
            key=lambda row: row["relative_compute"],
        )
        x, mark = [row["relative_compute"] for row in line], looks[other]
        ax.plot(x, [row["gain"] for row in line], lw=0.9, **mark.look(3.8))
        for at, row in zip(x, line, strict=True):
            ends = [row["gain_low"], row["gain_high"]]
            ax.plot([at, at], ends, color=mark.color, lw=0.7, alpha=0.4, zorder=1)
    ax.axhline(0, color=GREY, lw=0.8)
    _compute_axis(ax, _own(rows, task, "loss"))


def _compute_axis(ax: Axes, rows: Rows) -> None:
    """A log axis of relative compute, with the places of the selections that ask no proxy."""
    ax.set_xscale("log")
    places = [_place(row, rows) for row in rows if row["method"] != "random"]
    ax.set_xlim(min(places) / 1.5, max(places) * 1.5)
    proxies = [float(row["relative_compute"]) for row in rows if row["relative_compute"]]
    exponents = range(math.ceil(math.log10(min(proxies))), math.floor(math.log10(max(proxies))) + 1)
    decades = {10.0**exponent: fraction(10.0**exponent) for exponent in exponents}
    ticks = {min(proxies) / 4.4: "no proxy"} | decades
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.axvline(min(proxies) / 1.9, color=PALE, lw=0.8)
    ax.grid(axis="y", color=PALE, lw=0.4)


def _legend(rows: Rows, style: Style) -> list[Any]:
    sizes = {row["fraction"]: row["size"] for row in rows}
    shares: list[Any] = [
        Patch(color=color, label=f"{share:.0%} of candidates ({sizes[share]:,})")
        for share, color in _colors(rows).items()
    ]
    grey: dict[str, Any] = {"ls": "none", "color": GREY, "markersize": 4.5}
    methods = [
        Line2D([], [], marker=SHAPES["dsdm"], label="DsDm, through the proxy", **grey),
        Line2D([], [], marker=SHAPES["dsir"], label="DSIR, no proxy", **grey),
        Line2D([], [], marker=SHAPES["classifier"], label="classifier, no proxy", **grey),
        Line2D([], [], color=GREY, lw=0.8, ls=(0, (3, 2)), label="random (band: interval)"),
    ]
    if any(map(_at_chance, rows)):
        hollow: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": GREY}
        label = "accuracy at chance"
        methods.append(Line2D([], [], marker=SHAPES["dsdm"], label=label, **grey, **hollow))
    looks = marks(list(dict.fromkeys(row["measured_on"] for row in rows)), style)
    entries = [*shares, *methods, *keys(looks, line=True)]
    for entry in entries:
        entry.set_label(shorten(str(entry.get_label()), 1.7 * POINTS, SMALL))
    return entries
