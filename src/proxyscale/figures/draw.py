"""Drawing a figure by its name: from tidy tables, so that anybody's losses will do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.figures.faces import faces, make_legible, names_in
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import save
from proxyscale.figures.style import RC, Style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Figures of the smallest proxy, and those that they equal where that is the figures' own.
TWINS = {"correlation_fig12": "correlation_fig1", "histogram_fig13": "histogram_fig5"}


def draw_all(stems: Mapping[str, str], *, style: Mapping[str, Any], **given: Any) -> None:
    """Draw figures of the same tables, by name; as `draw`. What equals one drawn before is copied.

    Drawing takes most of the time in which many metrics of few recipes are compared.
    """
    shown = FigureData(Style.of(style), given)
    for name, stem in stems.items():
        twin = stems.get(TWINS.get(name, ""))
        if twin is None or shown.proxy != shown.smallest:
            _draw(name, stem, shown)
            continue
        for suffix in (".pdf", ".svg", ".csv"):
            shutil.copyfile(twin + suffix, stem + suffix)


def draw(name: str, stem: str | Path, *, style: Mapping[str, Any], **given: Any) -> None:
    """Draw one figure: stem.pdf, stem.svg and stem.csv, the numbers that it shows.

    `style` holds fields of `style.Style`, `given` what the figure reads and the words of the study
    that it needs, as `FigureData` says. UserError for an unknown figure, option or scale, and for a
    figure that these tables cannot give.
    """
    _draw(name, stem, FigureData(Style.of(style), given))


def _draw(name: str, stem: str | Path, shown: FigureData) -> None:
    import matplotlib as mpl

    figure, rows = make(name, shown)
    if not rows:
        raise UserError(f"these tables hold nothing that {name} shows")
    with mpl.rc_context(RC):
        save(Path(stem), figure, rows)


def make(name: str, shown: FigureData) -> tuple[Figure, Rows]:
    """The figure and the rows of its CSV; UserErrors as of `draw`."""
    import matplotlib as mpl

    entry = registry.figure[name]
    families = faces("".join(names_in([vars(shown.style), shown.given])))
    with mpl.rc_context(RC | {"font.family": families}):
        figure, rows = entry.function(shown, **entry.options)
    make_legible(figure, families)
    return figure, rows
