"""Drawing a figure by its name: from tidy tables, so that anybody's losses will do."""

from __future__ import annotations

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


def draw(name: str, stem: str | Path, *, style: Mapping[str, Any], **given: Any) -> None:
    """Draw one figure: stem.pdf, stem.svg and stem.csv, the numbers that it shows.

    `style` holds fields of `style.Style`, `given` what the figure reads and the words of the study
    that it needs, as `FigureData` says. UserError for an unknown figure, option or scale, and for a
    figure that these tables cannot give.
    """
    import matplotlib as mpl

    figure, rows = make(name, style=style, **given)
    if not rows:
        raise UserError(f"these tables hold nothing that {name} shows")
    with mpl.rc_context(RC):
        save(Path(stem), figure, rows)


def make(name: str, *, style: Mapping[str, Any], **given: Any) -> tuple[Figure, Rows]:
    """The figure and the rows of its CSV; as for `draw`."""
    import matplotlib as mpl

    entry = registry.figure[name]
    families = faces("".join(names_in([style, given])))
    with mpl.rc_context(RC | {"font.family": families}):
        figure, rows = entry.function(FigureData(Style.of(style), given), **entry.options)
    make_legible(figure, families)
    return figure, rows
