"""Figure 4: Figure 1 for single test examples, with their text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import even_ticks, legend_columns, shorten
from proxyscale.figures.style import PALE, POINTS, SMALL, keys
from proxyscale.figures.text_layout import EDGE, STEP, Passage, Sheet
from proxyscale.registry import figure
from proxyscale.statistics.measures import pearson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RULES = ("best", "median", "worst")
LINES = 6  # of an example's text
PANEL, LEGEND_ROW = 0.82, 0.15  # inches


@figure(
    "examples_fig4",
    caption="Losses of single test examples at proxy and reference, a point per training "
    "distribution: the best, the median and the worst correlated example of every task. Best and "
    "worst are the extremes of so many examples, most of which are near the median.",
    reads=("statistics", "losses", "runs", "asked"),
    exists=lambda facts: facts.examples,
)
def examples(data: FigureData) -> tuple[Figure, Rows]:
    """The best, the median and the worst correlated example of every task (Fig 4).

    Correlated is Pearson's r of an example's losses, draws and seeds averaged, over the
    distributions; of equals the first is taken, and examples without variance are left out.
    """
    width = (data.style.width - 2 * EDGE) / len(RULES)
    proxy, reference = (data.style.label(s) for s in (data.proxy, data.reference))
    unit = f", {data.style.unit}" if data.style.unit else ""
    sheet = Sheet(data.style, f"Losses of single test examples{unit}")
    told = f"across: proxy {proxy}, upright: reference {reference}"
    sheet.write(sheet.width - EDGE, 0.22, told, size=SMALL, ends=True)
    rows: Rows = []
    top = 0.3
    for task in data.tasks:
        sheet.rule(top)
        sheet.write(EDGE, top + 0.14, shorten(data.style.label(task), 0.6 * width * POINTS))
        found = _chosen(data, task)
        asked = data.asked(task) if found else {}
        panels: list[Axes] = []
        for place, (rule, example, r) in enumerate(found):
            left = EDGE + place * width
            of = "" if rule == "median" else f" of {len(asked):,}"
            told = f"{rule}{of}, r = {r:.2f}".replace("-", "−")
            sheet.write(
                left + width - 0.1, top + (0.14 if place else 0.28), told, size=SMALL, ends=True
            )
            panels.append(sheet.panel(left + 0.33, top + 0.34, width - 0.43, PANEL - 0.08))
            points = _points(data, task, example)
            _draw(panels[-1], data, points)
            gold = next(choice for choice in asked[example] if choice["gold"])
            text = Passage.asked(gold)
            below = top + PANEL + 0.45
            sheet.passage(left, below, width - 0.1, LINES, text, end=bool(gold["prompt"]))
            facts = {"task": task, "rule": rule, "example": example, "pearson": r}
            facts |= {key: gold[key] for key in ("prompt", "continuation")}
            rows += [facts | point for point in points]
        _share_axes(panels)
        top += PANEL + 0.53 + LINES * STEP
    if not rows:
        hint = "losses by example are needed, not their averages"
        raise UserError("no task has examples that vary", where="examples_fig4", hint=hint)
    return sheet.finish(_legend(sheet, data, top + 0.05)), rows


def _chosen(data: FigureData, task: str) -> list[tuple[str, int, float]]:
    """(rule, example, Pearson's r) of the three examples."""
    grid = data.grid
    losses = grid.example_means(task)
    r = pearson(losses[grid.index(data.proxy)], losses[grid.index(data.reference)])
    known = np.flatnonzero(~np.isnan(r))
    if not len(known):
        return []
    order = known[np.argsort(-r[known], kind="stable")]
    places = (0, len(order) // 2, len(order) - 1)
    ids = grid.examples[task]
    return [
        (rule, int(ids[order[i]]), float(r[order[i]]))
        for rule, i in zip(RULES, places, strict=True)
    ]


def _points(data: FigureData, task: str, example: int) -> Rows:
    """Both losses of an example after training on each distribution."""
    grid = data.grid
    column = int(np.flatnonzero(grid.examples[task] == example)[0])
    losses = grid.example_means(task)[:, :, column]
    proxy, reference = (losses[grid.index(s)] for s in (data.proxy, data.reference))
    return [
        {"distribution": name, "proxy_loss": float(x), "reference_loss": float(y)}
        for name, x, y in zip(grid.distributions, proxy, reference, strict=True)
    ]


def _draw(ax: Axes, data: FigureData, points: Rows) -> None:
    for point in points:
        look: dict[str, Any] = data.marks[point["distribution"]].look(3.6)
        ax.plot([point["proxy_loss"]], [point["reference_loss"]], ls="none", **look)
    ax.margins(0.12)
    ax.grid(color=PALE, lw=0.4)
    ax.tick_params(labelsize=SMALL, pad=1.5)


def _share_axes(panels: Sequence[Axes]) -> None:
    """One pair of axes for the examples of a task, so that they can be compared."""
    for limits, ticks in (("xlim", "xaxis"), ("ylim", "yaxis")):
        ends = [end for ax in panels for end in getattr(ax, f"get_{limits}")()]
        for ax in panels:
            ax.set(**{limits: (min(ends), max(ends))})
            even_ticks(getattr(ax, ticks), 3)


def _legend(sheet: Sheet, data: FigureData, top: float) -> float:
    """The distributions' marks below everything; where the page ends."""
    entries, room = keys(data.marks), sheet.width - 2 * EDGE
    for entry in entries:
        entry.set_label(shorten(str(entry.get_label()), 0.45 * room * POINTS))
    rows = math.ceil(len(entries) / legend_columns(entries, room))
    across = math.ceil(len(entries) / rows)
    ax = sheet.panel(EDGE, top, room, rows * LEGEND_ROW)
    ax.axis("off")
    along = [entry for column in range(across) for entry in entries[column::across]]
    ax.legend(handles=along, loc="center", ncols=across, borderpad=0, borderaxespad=0)
    return top + rows * LEGEND_ROW + 0.1
