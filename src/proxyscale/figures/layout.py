"""A page: titled panels with shared labels and one legend, without overlaps; and its files.

Files are the same bytes for the same numbers.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.base import artifacts
from proxyscale.figures.faces import files_of, written
from proxyscale.figures.style import GREY, INK, LEGEND, LINE, POINTS, TEXT, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D


def text_width(text: str, size: float) -> float:
    """Width of one line of text in points, in the faces that are set."""
    import matplotlib as mpl

    return _width(text, size, tuple(mpl.rcParams["font.family"]))


@functools.lru_cache(maxsize=4096)
def _width(text: str, size: float, families: tuple[str, ...]) -> float:
    from matplotlib.font_manager import get_font
    from matplotlib.ft2font import LoadFlags

    font = get_font(files_of(families))
    font.set_size(size, POINTS)
    font.set_text(written(text, families), 0, flags=LoadFlags.NO_HINTING)
    return float(font.get_width_height()[0]) / 64


def shorten(text: str, points: float, size: float = LEGEND) -> str:
    """The text, its middle left out if it is wider than `points`."""

    def cut(kept: int) -> str:
        left, right = kept - kept // 2, kept // 2
        return text[:left].rstrip() + "…" + text[len(text) - right :].lstrip()

    if text_width(text, size) <= points:
        return text
    kept = bisect.bisect_right(range(1, len(text)), points, key=lambda n: text_width(cut(n), size))
    return cut(max(kept, 1))


def wrap(text: str, points: float, size: float = TEXT) -> str:
    """The text in lines no wider than `points`, broken after a space, `_`, `-`, `/` or `:`."""
    lines = [""]
    for piece in re.findall(r"[^\s_/:-]*[\s_/:-]+|[^\s_/:-]+$", text):
        if lines[-1] and text_width((lines[-1] + piece).rstrip(), size) > points:
            lines.append("")
        lines[-1] += piece
    return "\n".join(shorten(line.rstrip(), points, size) for line in lines)


def columns(panels: int) -> int:
    """Columns of a page of panels: as square as it reads well, three at most."""
    return {1: 1, 2: 2, 4: 2}.get(panels, 3)


def page(
    titles: Sequence[str],
    style: Style,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    legend: Sequence[Line2D] = (),
    height: float = 1.5,
    wide: bool = False,
    lead: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A page of titled panels, each `height` inches, with shared labels and legend.

    A lone panel is a column wide unless it is to be `wide`; one that is to `lead` has the first row
    for itself. Long titles are wrapped and long
    legend labels shortened, so that nothing overlaps.
    """
    from matplotlib.figure import Figure

    lead = lead and len(titles) > 1
    across = columns(len(titles) - lead)
    down = -(-(len(titles) - lead) // across) + lead
    width = style.column if across == 1 and not wide else style.width
    wrapped = [wrap(text, ((width - 0.9) / across - 0.15) * POINTS) for text in titles]
    heading = wrap(title, (width - 0.3) * POINTS, TEXT + 0.5)
    below = wrapped[1:] if lead else wrapped
    breaks = [max(t.count("\n") for t in below[i::across]) for i in range(across)]
    more = LINE * (max(breaks) * down + heading.count("\n"))
    tall, foot = down * (height + 0.42) + 0.42 + more, LINE * _rows(legend, width) + 0.06
    figure = Figure(figsize=(width, tall + foot), layout="constrained")
    body, bottom = figure.subfigures(2, 1, height_ratios=[tall, foot], squeeze=False).ravel()
    grid = body.add_gridspec(down, across)
    places = [divmod(i + lead * across, across) for i in range(len(titles) - lead)]
    axes = [body.add_subplot(grid[0, :])] if lead else []
    axes += [body.add_subplot(grid[row, column]) for row, column in places]
    for ax, text in zip(axes, wrapped, strict=True):
        ax.set_title(text)
    body.suptitle(heading, color=INK)
    body.supxlabel(wrap(xlabel, (width - 0.5) * POINTS))
    body.supylabel(wrap(ylabel, down * height * POINTS))
    if legend:
        _put_legend(bottom, legend, width)
    return figure, axes


def legend_columns(entries: Sequence[Line2D], width: float) -> int:
    """Columns of a legend: as many as fit, each as wide as its widest entry."""
    wide = [text_width(str(entry.get_label()), LEGEND) + 4.6 * LEGEND for entry in entries]
    room = (width - 0.1) * POINTS
    fits = (n for n in range(len(wide), 1, -1) if sum(max(wide[c::n]) for c in range(n)) <= room)
    return next(fits, 1)


def _rows(entries: Sequence[Line2D], width: float) -> int:
    """Rows of a legend, once its labels are short enough: for two columns if there are many."""
    room = (width / (2 if len(entries) > 8 else 1)) * POINTS - 6 * LEGEND
    for entry in entries:
        entry.set_label(shorten(str(entry.get_label()), room))
    return -(-len(entries) // legend_columns(entries, width)) if entries else 0


def _put_legend(below: SubFigure, entries: Sequence[Line2D], width: float) -> None:
    """The legend, its entries in order along its rows, balanced."""
    rows = _rows(entries, width)
    across = -(-len(entries) // rows)
    along = [entries[i] for c in range(across) for i in range(c, len(entries), across)]
    below.legend(handles=along, loc="center", ncols=across, borderpad=0, borderaxespad=0)


def even_ticks(axis: Axis, most: int = 4) -> None:
    """At most `most` + 1 round ticks within the limits, all with the same decimals."""
    from matplotlib.ticker import MaxNLocator

    low, high = sorted(axis.get_view_interval())
    values = np.asarray(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    values = values[(values >= low) & (values <= high)]
    texts = [np.format_float_positional(value, precision=8, trim="-") for value in values]
    decimals = max([1, *(len(text.partition(".")[2]) for text in texts)])
    axis.set_ticks(values, [f"{value:.{decimals}f}" for value in values])


def fraction(share: float, _: int | None = None) -> str:
    """A share of the reference's compute as people write it: 1/100."""
    if share >= 1:
        return f"{share:g}"
    return f"1/{1 / share:,.0f}" if share < 0.01 else f"1/{1 / share:.3g}"


def log_axis(ax: Axes, told: Callable[[float, int | None], str] = fraction) -> None:
    """A log axis across, its decades as `told` writes them."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(told))
    ax.xaxis.set_minor_formatter(NullFormatter())


def say_undefined(ax: Axes, what: str) -> None:
    """Say in an empty panel that it is not forgotten."""
    ax.text(0.5, 0.5, f"{what} n/a", transform=ax.transAxes, ha="center", va="center", color=GREY)


def save(stem: Path, figure: Figure, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write stem.pdf, stem.svg and stem.csv, the numbers drawn, each whole or not at all."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine("none")  # laid out once, so that both files are alike
    # `savefig` would draw everything twice for each file
    with artifacts.atomic(f"{stem}.pdf") as temporary:
        FigureCanvasPdf(figure).print_pdf(  # type: ignore[no-untyped-call]
            temporary, metadata={"CreationDate": None}
        )
    with artifacts.atomic(f"{stem}.svg") as temporary:
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
            temporary, metadata={"Date": None}
        )
    artifacts.write_csv(f"{stem}.csv", rows)
