"""Drawing a figure by its name: from tidy tables, so that anybody's losses will do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.layout import save
from proxyscale.figures.style import RC, Style


def draw(name: str, stem: str | Path, *, style: Mapping[str, Any], **given: Any) -> None:
    """Draw one figure: stem.pdf, stem.svg and stem.csv, the numbers that it shows.

    `style` holds fields of `style.Style`, `given` what the figure reads and the words of the study
    that it needs, as `FigureData` says. UserError for an unknown figure, option or scale, and for a
    figure that these tables cannot give.
    """
    import matplotlib as mpl

    entry = registry.figure[name]
    with mpl.rc_context(RC):
        figure, rows = entry.function(FigureData(Style.of(style), given), **entry.options)
        if not rows:
            raise UserError(f"these tables hold nothing that {name} shows")
        save(Path(stem), figure, rows)
