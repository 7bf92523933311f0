"""Figure 8: what data that is selected through proxies does for the model that trains on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.figures import figure_data
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.layout import fraction, say_undefined, shorten
from proxyscale.figures.style import (
    COLORS,
    GREY,
    INK,
    LINE,
    MARKERS,
    PALE,
    POINTS,
    SMALL,
    Mark,
    Style,
    beside,
    key,
    keys,
)
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
NAMES = {"dsdm": "DsDm", "dsir": "DSIR"}  # of methods, as their authors write them
QUANTITIES = {"loss": "holdout loss (nats per token)", "accuracy": "holdout accuracy"}
OTHERS = "gain on other tasks (nats)"
LEGEND_COLUMNS = 3


@figure(
    "selection_fig8",
    caption="Accuracy or loss of the reference trained on data selected through each proxy, "
    "against the proxy's relative compute; dashed is a random subset of the same size.",
    reads=("gains",),
)
def gains(data: FigureData) -> tuple[Figure, figure_data.Rows]:
    """A column for each task that data was selected for, from the rows of `gains` (Fig 8).

    Loss and, where the task has it, accuracy on the task's holdout against the relative training
    compute of one proxy, and the gain on all other tasks. Bands and bars are intervals over seeds;
    hollow are accuracies whose interval reaches the best guess without a model. `data` names the
    scale `trained` on the selections and the `distributions` that are compared, whose namesakes
    among methods and tasks look like them.
    """
    from matplotlib.figure import Figure

    rows, look, reference = data.table("gains"), data.style, data.given["trained"]
    tasks = list(dict.fromkeys(row["selected_for"] for row in rows if row["selected_for"]))
    known = [q for q in QUANTITIES if any(_own(rows, task, q) for task in tasks)]
    down = len(known) + 1
    width = max(look.column, min(look.width, 2.75 * len(tasks)))
    shapes = method_marks(rows, data)
    others = dict.fromkeys([*look.tasks, *(row["measured_on"] for row in rows)])
    looks = beside(list(others), data.marks, look)
    entries = _legend(rows, look, shapes, looks)
    tall, foot = 1.65 * down + 0.7, LINE * -(-len(entries) // LEGEND_COLUMNS) + 0.1
    figure = Figure(figsize=(width, tall + foot), layout="constrained")
    body, below = figure.subfigures(2, 1, height_ratios=[tall, foot], squeeze=False).ravel()
    axes = body.subplots(down, len(tasks), squeeze=False)
    for column, task in zip(axes.T, tasks, strict=True):
        column[0].set_title(f"selected for {look.label(task)}")
        for ax, quantity in zip(column, known, strict=False):
            _draw_own(ax, rows, task, quantity, shapes)
        _draw_others(column[-1], rows, task, looks)
    for row, label in zip(axes, [*(QUANTITIES[q] for q in known), OTHERS], strict=True):
        row[0].set_ylabel(label)
    body.suptitle(f"{look.label(reference)} trained on data that proxies selected", color=INK)
    body.supxlabel(f"training compute of one proxy / of one {look.label(reference)}")
    below.legend(handles=entries, loc="center", ncols=LEGEND_COLUMNS, borderpad=0)
    return figure, list(map(dict, rows))


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


def _methods(rows: Rows, *, proxied: bool | None = None) -> list[str]:
    """The methods but random, in order: all, or those that ask proxies, or those that do not."""
    found = [
        row["method"]
        for row in rows
        if row["method"] != "random" and proxied in (None, bool(row["relative_compute"]))
    ]
    return list(dict.fromkeys(found))


def method_marks(rows: Rows, data: FigureData) -> dict[str, Mark]:
    """The mark of each method, of which the shape is drawn: that of its namesake distribution."""
    return beside(_methods(rows), data.marks, data.style)


def _place(row: Mapping[str, Any], rows: Rows) -> float:
    """Where a selection stands: at its proxy's compute, or left of all where it has none."""
    if row["relative_compute"]:
        return float(row["relative_compute"])
    least = min(float(r["relative_compute"]) for r in rows if r["relative_compute"])
    methods = _methods(rows, proxied=False)
    places = np.geomspace(6.0, 3.2, len(methods)) if len(methods) > 1 else [4.4]
    return float(least / places[methods.index(row["method"])])


def _draw_own(ax: Axes, rows: Rows, task: str, quantity: str, shapes: Mapping[str, Mark]) -> None:
    own, colors = _own(rows, task, quantity), _colors(rows)
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
        shape = _shape(shapes[row["method"]], color, quantity == "accuracy" and _at_chance(row))
        ax.plot([x], [row[quantity]], ls="none", **shape)
    for share, color in colors.items():
        for method in _methods(own, proxied=True):
            line = [row for row in own if (row["fraction"], row["method"]) == (share, method)]
            line = sorted(line, key=lambda row: row["relative_compute"])
            x = [row["relative_compute"] * shifts[share] for row in line]
            ax.plot(x, [row[quantity] for row in line], color=color, lw=1.0, zorder=1)
    _compute_axis(ax, own)
    if quantity == "accuracy":
        ax.set_ylim(bottom=0)


def _shape(mark: Mark, color: str, hollow: bool) -> dict[str, Any]:
    """Keywords of a matplotlib line for the point of a selection."""
    look = mark._replace(filled=not hollow).look()
    look |= {"markeredgecolor" if hollow else "markerfacecolor": color, "color": color}
    return look | {"clip_on": False}  # accuracies of zero stand on the edge


def _at_chance(row: Mapping[str, Any]) -> bool:
    """Whether an accuracy cannot be told from a guess."""
    return row["accuracy"] is not None and row["accuracy_low"] <= row["chance"]


def _draw_others(ax: Axes, rows: Rows, task: str, looks: Mapping[str, Mark]) -> None:
    """What a selection for one task does to the others: the gain there, of the largest share and
    of the first method that asks proxies about a task."""
    largest = max(row["fraction"] for row in rows)
    mine = [r for r in rows if r["selected_for"] == task and r["fraction"] == largest]
    first = next(iter(_methods(mine, proxied=True)), None)
    for other in dict.fromkeys(row["measured_on"] for row in mine):
        if other == task:
            continue
        line = sorted(
            (row for row in mine if (row["measured_on"], row["method"]) == (other, first)),
            key=lambda row: row["relative_compute"],
        )
        x, mark = [row["relative_compute"] for row in line], looks[other]
        ax.plot(x, [row["gain"] for row in line], lw=0.9, ls=mark.dash, **mark.look(3.8))
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
    ticks = {10.0**exponent: fraction(10.0**exponent) for exponent in exponents}
    if _methods(rows, proxied=False):
        ticks = {min(proxies) / 4.4: "no proxy"} | ticks
        ax.axvline(min(proxies) / 1.9, color=PALE, lw=0.8)
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.xaxis.minorticks_off()
    ax.grid(axis="y", color=PALE, lw=0.4)


def _legend(
    rows: Rows, style: Style, shapes: Mapping[str, Mark], looks: Mapping[str, Mark]
) -> list[Any]:
    from matplotlib.patches import Patch

    sizes = {row["fraction"]: row["size"] for row in rows}
    shares: list[Any] = [
        Patch(color=color, label=f"{share:.0%} of candidates ({sizes[share]:,})")
        for share, color in _colors(rows).items()
    ]
    proxied = _methods(rows, proxied=True)
    methods = [
        key(
            f"{_name(method, style)}, {_how(method, proxied)}",
            ls="none",
            **_shape(mark, GREY, False),
        )
        for method, mark in shapes.items()
    ]
    methods.append(key("random (band: interval)", color=GREY, lw=0.8, ls=(0, (3, 2))))
    if any(map(_at_chance, rows)):
        hollow = Mark("", 0, MARKERS[0], filled=False)
        methods.append(key("accuracy of a guess", ls="none", **_shape(hollow, GREY, True)))
    entries = [*shares, *methods, *keys(looks, line=True)]
    for entry in entries:
        entry.set_label(shorten(str(entry.get_label()), 1.7 * POINTS, SMALL))
    return entries


def _name(method: str, style: Style) -> str:
    return style.labels.get(method, NAMES.get(method, method))


def _how(method: str, proxied: Sequence[str]) -> str:
    return "through the proxy" if method in proxied else "no proxy"
