"""Figure 28: whether the scores of two widths agree, raw and corrected for noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from proxyscale.base.tables import where
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import page
from proxyscale.figures.style import INK, SMALL, Style
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {
    "scores_spearman": "as computed",
    "scores_spearman_corrected": "corrected for noise",
}
FIELDS = ("statistic", "task", "group", "proxy", "reference", "value", "low", "high", "n")


@figure(
    "scores_fig28",
    caption="Spearman between the scores of every pair of widths, as computed and corrected for "
    "the models' noise by halves of them.",
    reads=("statistics",),
    family="resnet",
    exists=lambda facts: facts.models > 1,
)
def of_widths(data: FigureData) -> tuple[Figure, Rows]:
    """Agreement of every pair of widths (Fig 28)."""
    return score_map(data.statistics, data.style, data.given)


def score_map(statistics: pa.Table, style: Style, spec: Mapping[str, Any]) -> tuple[Figure, Rows]:
    """Two heat maps a task over pairs of widths, narrow to wide.

    The corrected one divides the agreement of halves of the models across two widths by the root
    of the product of the agreements of halves within each (Spearman 1904): 1 on its diagonal.
    """
    parts = [where(statistics, statistic=name).select(FIELDS) for name in PANELS]
    rows = [row for part in parts for row in part.to_pylist()]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    panels = [(task, name) for task in tasks for name in PANELS]
    prefix = {task: f"{style.label(task)}, " if len(tasks) > 1 else "" for task in tasks}
    models = rows[0]["group"].partition("/")[2] if rows else ""
    figure, axes = page(
        [f"{prefix[task]}{PANELS[name]}" for task, name in panels],
        style,
        title=f"Rank correlation of scores (TRAK, {models} models) between widths",
        xlabel="",
        ylabel="",
        height=2.1,
    )
    for ax, (task, name) in zip(axes, panels, strict=True):
        own = [row for row in rows if (row["task"], row["statistic"]) == (task, name)]
        scales = list(dict.fromkeys(row["proxy"] for row in own))
        values = np.eye(len(scales))
        for row in own:
            i, j = scales.index(row["proxy"]), scales.index(row["reference"])
            values[i, j] = values[j, i] = row["value"]
        ax.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="equal")
        for i, j in np.ndindex(values.shape):
            color = "white" if values[i, j] > 0.6 else INK
            text = f"{values[i, j]:.2f}"
            ax.text(j, i, text, ha="center", va="center", color=color, fontsize=SMALL)
        names = [style.label(scale) for scale in scales]
        ax.set_xticks(range(len(scales)), names)
        ax.set_yticks(range(len(scales)), names)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    return figure, rows
