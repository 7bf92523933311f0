"""The figures of studies of image models by name, and the files that they are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pyarrow as pa
from matplotlib.figure import Figure

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import Rows
from proxyscale.figures.layout import save
from proxyscale.figures.style import RC, Style
from proxyscale.vision import counterfactual_figure, influence_figure, lds_figures, score_map


@dataclass(frozen=True)
class Sources:
    """Tables of these schemas; the pool's manifest; tasks, and score packs of each scale."""

    statistics: pa.Table
    losses: pa.Table
    runs: pa.Table
    pool: Path
    tasks: Mapping[str, Path]
    scores: Mapping[str, Sequence[Path]]


def _influence(sources: Sources, style: Style, spec: Mapping[str, Any]) -> tuple[Figure, Rows]:
    holdout = sources.tasks[spec["task"]] / "holdout/manifest.json"
    return influence_figure.influence(sources.pool, holdout, sources.scores, style, spec)


Draw = Callable[[Sources, Style, Mapping[str, Any]], tuple[Figure, Rows]]
FIGURES: dict[str, Draw] = {
    "lds_fig6": lambda s, style, spec: lds_figures.over_compute(s.statistics, style, spec),
    "lds_fig27": lambda s, style, spec: lds_figures.over_models(s.statistics, style, spec),
    "width_fig17": lambda s, style, spec: lds_figures.width(s.statistics, s.runs, style, spec),
    "scores_fig28": lambda s, style, spec: score_map.score_map(s.statistics, style, spec),
    "counterfactual_fig14": lambda s, style, spec: counterfactual_figure.counterfactual(
        s.losses, s.statistics, style, spec
    ),
    "influence_fig7": _influence,
    "influence_fig22": _influence,
    "influence_fig23": _influence,
}


def draw(stem: Path, sources: Sources, spec: Mapping[str, Any]) -> None:
    """Draw one figure: stem.pdf, stem.svg and stem.csv, the numbers that it shows.

    `spec` as `ImageStudy.figure` says. UserError for a figure that these tables cannot give.
    """
    name = spec["figure"]
    with mpl.rc_context(RC):
        figure, rows = FIGURES[name](sources, Style.of(spec["style"]), spec)
        if not rows:
            raise UserError(f"these tables hold nothing that {name} shows")
        save(stem, figure, rows)
