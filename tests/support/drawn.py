"""Figures of synthetic studies as matplotlib holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from fontTools.ttLib import TTFont
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, findfont, fontManager
from matplotlib.transforms import Bbox

from proxyscale.figures import draw, registered  # noqa: F401
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.style import RC, Style
from support.synthetic_study import Study


def make(name: str, study: Study, **named: Any) -> tuple[Figure, Rows]:
    """The figure and the rows of its CSV."""
    given = {**study, **named}
    return draw.make(name, FigureData(Style.of(given.pop("style")), given))


def open_figure(name: str, study: Study) -> Figure:
    """The figure, laid out."""
    figure, _ = make(name, study)
    with mpl.rc_context(RC):
        FigureCanvasAgg(figure).draw()
    return figure


def boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """The texts of a page and where they stand, as in its files: letters on no grid of pixels."""
    with mpl.rc_context(RC | {"text.hinting": "none"}):
        renderer = FigureCanvasAgg(figure).get_renderer()
        return [(text.get_text(), text.get_window_extent(renderer)) for text in figure.texts]


def own_fonts() -> list[FontEntry]:
    """The fonts that come with matplotlib."""
    return [entry for entry in fontManager.ttflist if entry.name.startswith("DejaVu")]


def add_font(path: Path, characters: str) -> None:
    """Give this machine a font, named as its file, that has these characters, all wide ones."""
    font = TTFont(findfont("DejaVu Sans"))
    for table in filter(lambda table: table.isUnicode(), font["cmap"].tables):
        table.cmap |= {ord(c): "W" for c in characters}
    for record in font["name"].names:
        if record.nameID in (1, 4, 16):
            record.string = path.stem
    font.save(path)
    fontManager.addfont(path)
