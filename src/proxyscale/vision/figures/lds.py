"""Figures 6 and 27: LDS against the compute of attribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from proxyscale.base.tables import where
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import log_axis, page
from proxyscale.figures.style import GREY, INK, PALE, SMALL, Mark, Style, key, keys, marks
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAME_CLASS = "same-class"
DASHED = (0, (4, 2))
FIELDS = ("task", "group", "proxy", "value", "low", "high", "ceiling", "n", "compute_ratio")


def _told(group: str) -> str:
    """A method and its number in words: `trak/8` → TRAK, 8 models."""
    method, _, number = group.partition("/")
    if method == "trak":
        return f"TRAK, {number} model{'s' * (number != '1')}"
    return f"{method} datamodels, {number} subsets"


def read_rows(statistics: pa.Table, statistic: str) -> Rows:
    """The rows of one statistic; NaN where a number is not known."""
    found = where(statistics, statistic=statistic).select(FIELDS).to_pylist()
    return [{k: math.nan if v is None else v for k, v in row.items()} for row in found]


@figure(
    "lds_fig6",
    caption="Linear datamodeling score against the relative compute of attribution, a line per "
    "method and number of models; bars are bootstrap intervals over the subsets, the dashed line "
    "is the noise ceiling; a dotted one, where subsets differ in their classes, knows these alone.",
    reads=("statistics",),
    family="resnet",
)
def of_methods(data: FigureData) -> tuple[Figure, Rows]:
    """LDS of every method and number of models (Fig 6)."""
    return over_compute(data.statistics, data.style, data.given)


@figure(
    "lds_fig27",
    caption="As Figure 6 for the most models; the band is a jackknife interval over models.",
    reads=("statistics",),
    family="resnet",
    exists=lambda facts: facts.models > 2,
)
def of_most_models(data: FigureData) -> tuple[Figure, Rows]:
    """LDS for the most models, with its interval over models (Fig 27)."""
    return over_models(data.statistics, data.style, data.given)


def over_compute(
    statistics: pa.Table, style: Style, spec: Mapping[str, Any]
) -> tuple[Figure, Rows]:
    """LDS against relative compute, a line per method and number of models (Fig 6).

    Bars are bootstrap intervals over the truth's subsets.
    """
    title = f"Foretelling {style.label(spec['reference'])} from attribution through proxies"
    return _lds_page(read_rows(statistics, "lds"), style, title, bars=True)


def over_models(statistics: pa.Table, style: Style, spec: Mapping[str, Any]) -> tuple[Figure, Rows]:
    """LDS against relative compute for the most models, with a band over models (Fig 27)."""
    rows = read_rows(statistics, "lds_over_models")
    same = [row for row in read_rows(statistics, "lds") if row["group"] == SAME_CLASS]
    title = f"Foretelling {style.label(spec['reference'])}: interval over models (jackknife)"
    return _lds_page(rows + (same if rows else []), style, title, bars=False)


def _lds_page(rows: Rows, style: Style, title: str, *, bars: bool) -> tuple[Figure, Rows]:
    groups = sorted(dict.fromkeys(r["group"] for r in rows if r["group"] != SAME_CLASS), key=_order)
    looks = marks(groups, style)
    looks = {g: m._replace(label=style.labels.get(g, _told(g))) for g, m in looks.items()}
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    same = any(row["group"] == SAME_CLASS for row in rows)
    n = max((row["n"] for row in rows), default=0)
    figure, axes = page(
        [style.label(task) if len(tasks) > 1 else "" for task in tasks],
        style,
        title=title,
        xlabel="compute of attribution / that of the reference with most models",
        ylabel=f"LDS over {n} subsets",
        legend=[
            *keys(looks, line=True),
            key("noise ceiling", color=INK, ls=DASHED, lw=0.9),
            *([key("same class, no model", color=GREY, ls=":", lw=1.2)] if same else []),
        ],
        height=2.5,
        wide=True,
    )
    for ax, task in zip(axes, tasks, strict=True):
        own = [row for row in rows if row["task"] == task]
        for group in groups:
            line = [row for row in own if row["group"] == group]
            _draw_line(ax, sorted(line, key=lambda r: -r["compute_ratio"]), looks[group], bars)
        _name_scales(ax, [row for row in own if row["group"] == groups[-1]], style)
        _levels(ax, own)
        _compute_axis(ax)
    return figure, rows


def _order(group: str) -> tuple[bool, str, int]:
    """TRAK last, so that its largest number of models is drawn on top."""
    method, _, number = group.partition("/")
    return method == "trak", method, int(number)


def _draw_line(ax: Axes, rows: Rows, mark: Mark, bars: bool) -> None:
    x, y = [1 / row["compute_ratio"] for row in rows], [row["value"] for row in rows]
    low, high = [row["low"] for row in rows], [row["high"] for row in rows]
    ax.plot(x, y, color=mark.color, ls=mark.dash, lw=1.0, zorder=2)
    ax.plot(x, y, ls="none", zorder=3, **mark.look(4.2))
    if bars:
        ax.vlines(x, low, high, color=mark.color, lw=0.8, alpha=0.5, zorder=1)
    else:
        ax.fill_between(x, low, high, color=mark.color, alpha=0.18, lw=0, zorder=1)


def _name_scales(ax: Axes, rows: Rows, style: Style) -> None:
    """The widths' names above the points of a line."""
    for row in rows:
        place = (1 / row["compute_ratio"], row["high"])
        ax.annotate(
            style.label(row["proxy"]),
            place,
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=GREY,
            fontsize=SMALL,
        )


def _levels(ax: Axes, rows: Rows) -> None:
    """The ceiling and the baseline as lines, and room for both."""
    ceiling = max((row["ceiling"] for row in rows), default=math.nan)
    if not math.isnan(ceiling):
        ax.axhline(ceiling, color=INK, ls=DASHED, lw=0.9, zorder=1)
    for row in rows:
        if row["group"] == SAME_CLASS:
            ax.axhline(row["value"], color=GREY, ls=":", lw=1.2, zorder=1)
            ax.axhspan(row["low"], row["high"], color=PALE, alpha=0.5, lw=0, zorder=0)
    ax.set_ylim(min(0, *(row["low"] for row in rows)) - 0.03, max(0.3, 1.08 * ceiling))


def _compute_axis(ax: Axes) -> None:
    log_axis(ax)
    low, high = ax.get_xlim()
    ax.set_xlim(low / 1.3, high * 1.3)
    ax.grid(axis="y", color=PALE, lw=0.4)
