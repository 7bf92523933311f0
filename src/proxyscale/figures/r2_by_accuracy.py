"""Figure 3: R² against the proxy's accuracy."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import Estimate, FigureData, Rows
from proxyscale.figures.layout import page
from proxyscale.figures.signed_r2 import NO_LEVER, levers, signed_axis, squared
from proxyscale.figures.style import GREY, PALE, Mark, key
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@figure(
    "accuracy_fig3",
    caption="R² over the distributions, with the sign of the correlation, against the proxy's "
    "accuracy above that of the best rule that needs no model, a panel per task of which any proxy "
    "is above it, or of the one that comes nearest; hollow points are not above.",
    reads=("statistics", "losses", "runs", "asked"),
    exists=lambda facts: facts.answers,
)
def accuracy(data: FigureData) -> tuple[Figure, Rows]:
    """R² against the proxy's accuracy above the best guess, a panel per task (Fig 3).

    Accuracy is the mean over distributions and runs, its interval that over test examples (normal
    approximation); the best guess is that of `statistics.guesses`, and hollow points are proxies
    whose interval reaches it.
    """
    from matplotlib.ticker import MaxNLocator

    tasks = [task for task in data.tasks if _answers(data, task)]
    if not tasks:
        hint = "give the losses a column `correct`"
        raise UserError("no task has accuracies", where="accuracy_fig3", hint=hint)
    looks = data.task_marks
    rows = _accuracy_rows(data, tasks)
    above = {row["task"] for row in rows if not row["at_chance"]}
    nearest = max(rows, key=lambda row: row["above_chance"])["task"]
    shown = [task for task in tasks if task in above or (not above and task == nearest)]
    hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": GREY}
    chance = key("proxy no better than a guess", ls="none", markersize=4.5, **hollow)
    figure, axes = page(
        [data.style.label(task) for task in shown],
        data.style,
        title=f"Correlation with {data.style.label(data.reference)} and accuracy of proxies"
        + _left_out(data, tasks, above),
        xlabel="accuracy of the proxy − best guess without a model",
        ylabel="R² over the distributions, with the sign of r",
        legend=[chance],
        height=1.5,
    )
    for ax, task in zip(axes, shown, strict=True):
        mine = [row for row in rows if row["task"] == task]
        ax.axvline(0, color=GREY, lw=0.8, ls=(0, (3, 2)))
        signed_axis(ax, [row[end] for row in mine for end in ("signed", "signed_low")])
        _draw_accuracy(ax, mine, looks[task])
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.grid(axis="y", color=PALE, lw=0.4)
    return figure, rows


def _left_out(data: FigureData, tasks: Sequence[str], above: Collection[str]) -> str:
    """The tasks on which no proxy knows anything, for the title."""
    rest = [data.style.label(task) for task in tasks if task not in above]
    if not rest or len(tasks) == 1:
        return ""
    where = f"on {', '.join(rest)}" if above else "on any task, of which the nearest is shown"
    return f"; no proxy is better than a guess {where}"


def _answers(data: FigureData, task: str) -> bool:
    correct = data.losses.filter(pc.equal(data.losses["task"], task))["correct"]
    return bool(correct.null_count < len(correct))


def _accuracy_rows(data: FigureData, tasks: Sequence[str]) -> Rows:
    r2, pearson, least = data.estimates("r2"), data.estimates("pearson"), levers(data)
    compared = pa.array(data.grid.distributions)
    losses = data.losses.filter(pc.is_in(data.losses["distribution"], value_set=compared))
    rows = []
    for task in tasks:
        chance = data.chance(task)
        for proxy in data.proxies:
            mine = pc.and_(pc.equal(losses["task"], task), pc.equal(losses["scale"], proxy))
            correct = losses.filter(mine).select(["example", "correct"])
            shares = correct.group_by("example").aggregate([("correct", "mean")])["correct_mean"]
            above = shares.to_numpy() - chance
            half = 1.96 * above.std(ddof=1) / math.sqrt(len(above)) if len(above) > 1 else math.inf
            facts = {"accuracy": float(above.mean() + chance), "chance": chance}
            facts |= {"above_chance": float(above.mean()), "half_interval": float(half)}
            at_chance = bool(above.mean() - half <= 0)
            r = pearson.get((task, proxy), Estimate())
            facts |= r2.get((task, proxy), Estimate())._asdict()
            facts |= {"pearson": r.value, "signed": squared(r.value)}
            facts |= {"signed_low": squared(r.low), "signed_high": squared(r.high)}
            facts |= least.get((task, proxy), NO_LEVER)
            rows.append({"task": task, "proxy": proxy, "at_chance": at_chance} | facts)
    return rows


def _draw_accuracy(ax: Axes, rows: Rows, mark: Mark) -> None:
    x, y = [row["above_chance"] for row in rows], [row["signed"] for row in rows]
    ax.plot(x, y, color=mark.color, ls=mark.dash, lw=0.9, alpha=0.8, zorder=2)
    for row in rows:
        thin: dict[str, Any] = {"color": mark.color, "lw": 0.7, "alpha": 0.4, "zorder": 1}
        if math.isfinite(row["half_interval"]):
            ends = [row["above_chance"] + sign * row["half_interval"] for sign in (-1, 1)]
            ax.plot(ends, [row["signed"]] * 2, **thin)
        ax.plot([row["above_chance"]] * 2, [row["signed_low"], row["signed_high"]], **thin)
        shown = mark._replace(filled=not row["at_chance"])
        at: dict[str, Any] = {"ls": "none", "zorder": 3, "clip_on": False}  # R² of 1 is on the edge
        ax.plot([row["above_chance"]], [row["signed"]], **at, **shown.look())
