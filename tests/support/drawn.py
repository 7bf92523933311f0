"""Figures of synthetic studies as matplotlib holds them."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from proxyscale.figures.draw import FIGURES
from proxyscale.figures.figure_data import Readout, Rows
from proxyscale.figures.style import RC, Style
from support.synthetic_study import Study


def make(name: str, study: Study, **named: Any) -> tuple[Figure, Rows]:
    """The figure and the rows of its CSV."""
    given = {key: study[key] for key in ("statistics", "losses", "runs")}
    named |= {key: study[key] for key in study.keys() - given.keys() - {"style"}}
    with mpl.rc_context(RC):
        return FIGURES[name](Readout(**given, style=Style.of(study["style"]), named=named))


def open_figure(name: str, study: Study) -> Figure:
    """The figure, laid out."""
    figure, _ = make(name, study)
    with mpl.rc_context(RC):
        FigureCanvasAgg(figure).draw()
    return figure
