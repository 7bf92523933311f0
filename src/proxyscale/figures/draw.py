"""The figures by name: each is read from tidy tables, so that anybody's losses will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pyarrow as pa
from matplotlib.figure import Figure

from proxyscale.base.errors import UserError
from proxyscale.figures import (
    correlation,
    frontier,
    scaling,
    score_agreement,
    single_examples,
    task_prompts,
    training_curves,
)
from proxyscale.figures.figure_data import Readout, Rows
from proxyscale.figures.layout import save
from proxyscale.figures.style import RC, Style

FIGURES: dict[str, Callable[[Readout], tuple[Figure, Rows]]] = {
    "correlation_fig1": lambda readout: correlation.correlation(readout, readout.proxy),
    "compute_fig2": scaling.compute,
    "accuracy_fig3": scaling.accuracy,
    "examples_fig4": single_examples.examples,
    "histogram_fig5": lambda readout: correlation.histogram(readout, readout.proxy),
    "correlation_fig12": lambda readout: correlation.correlation(readout, readout.smallest),
    "histogram_fig13": lambda readout: correlation.histogram(readout, readout.smallest),
    "prompts_fig18": task_prompts.first_half,
    "prompts_fig19": task_prompts.second_half,
    "curves_fig21": training_curves.curves,
    "influence_fig24": lambda readout: score_agreement.influence(readout, 0),
    "influence_fig25": lambda readout: score_agreement.influence(readout, 1),
    "influence_fig26": lambda readout: score_agreement.influence(readout, 2),
    "agreement_fig29": score_agreement.agreement,
    "frontier": frontier.frontier,
}


def draw(
    name: str,
    stem: str | Path,
    *,
    statistics: pa.Table,
    losses: pa.Table,
    runs: pa.Table,
    style: Mapping[str, Any],
    reference: str | None = None,
    proxy: str | None = None,
    smallest: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Draw one figure: stem.pdf, stem.svg and stem.csv, the numbers that it shows.

    Tables are of the schemas of those names; `style` holds fields of `style.Style`. `reference`
    defaults to the only one, the `proxy` of Figures 1 and 5 to the one nearest to 1/175 of the
    compute, the `smallest` of 12 and 13 to the cheapest. `more` holds what single figures need:
    `curves` (21; schema curve, with scale, distribution, draw and seed), `asked` (3, 4, 18, 19; a
    table of schema task by task), `agreement` (29) and `influence` (24 to 26). UserError for an
    unknown figure, option or scale, and for a figure that these tables cannot give.
    """
    if name not in FIGURES:
        raise UserError(f"no figure is named {name!r}", value=name, allowed=sorted(FIGURES))
    named = {"reference": reference, "proxy": proxy, "smallest": smallest}
    with mpl.rc_context(RC):
        figure, rows = FIGURES[name](
            Readout(statistics, losses, runs, Style.of(style), named | dict(more or {}))
        )
        if not rows:
            raise UserError(f"these tables hold nothing that {name} shows")
        save(Path(stem), figure, rows)
