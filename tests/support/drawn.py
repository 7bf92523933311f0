"""Figures of synthetic studies as matplotlib holds them."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
