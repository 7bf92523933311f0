"""Figures of attribution across scales: whose scores agree (29), what text they find (24 to 26)."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import Readout, Rows
from proxyscale.figures.layout import page
from proxyscale.figures.style import INK, SMALL
from proxyscale.figures.text_layout import EDGE, Passage, Sheet, clean
from proxyscale.statistics.grid import Array

SIDES = {"helpful": "lowers the loss most", "harmful": "raises the loss most"}
LINES = 6  # of a text


def agreement(readout: Readout) -> tuple[Figure, Rows]:
    """Spearman between the scores of every pair of scales, a panel per task (Fig 29).

    Above the diagonal: mean over pairs of single models. On it: between two models of one scale.
    Below: divided by the root of the product of the two diagonal values, which is what models
    without noise of their own would have (Spearman 1904), at most 1.
    """
    table = readout.more("agreement")
    tasks = table["task"].unique().to_pylist()
    scales = [*readout.proxies, readout.reference]
    n = pc.max(table["n"]).as_py()
    figure, axes = page(
        [readout.style.label(task) for task in tasks],
        readout.style,
        title=f"Spearman between attribution scores of {n:,} pool examples",
        xlabel="above the diagonal: single models; on it: two models of one scale; "
        "below: corrected for the models' noise",
        ylabel="scale",
        height=1.6,
    )
    rows: Rows = []
    for ax, task in zip(axes, tasks, strict=True):
        mine = table.filter(pc.equal(table["task"], task))
        raw = np.array([[_mean(mine, a, b) for b in scales] for a in scales])
        shown = _corrected(raw)
        _draw_matrix(ax, shown, [readout.style.label(scale) for scale in scales])
        for i, j in product(range(len(scales)), repeat=2):
            kind = "corrected" if i > j else "single models" if i < j else "same scale"
            row = {"task": task, "first": scales[i], "second": scales[j], "kind": kind}
            rows.append(row | {"spearman": float(shown[i, j]), "n": n})
    return figure, rows


def _mean(table: pa.Table, a: str, b: str) -> float:
    """Mean over the pairs of models of two scales; NaN without a pair."""
    pairs = ((a, b), (b, a)) if a != b else ((a, b),)
    found = [
        table.filter(pc.and_(pc.equal(table["first"], x), pc.equal(table["second"], y)))["spearman"]
        for x, y in pairs
    ]
    values = np.concatenate([column.to_numpy() for column in found])
    return float(values.mean()) if len(values) else math.nan


def _corrected(raw: Array) -> Array:
    """The matrix with its lower half corrected for attenuation."""
    reliable = np.sqrt(np.where(raw.diagonal() > 0, raw.diagonal(), np.nan))
    corrected = np.minimum(raw / np.outer(reliable, reliable), 1.0)
    shown: Array = np.where(np.tri(len(raw), k=-1, dtype=bool), corrected, raw)
    return shown


def _draw_matrix(ax: Axes, values: Array, labels: list[str]) -> None:
    ax.imshow(values, cmap="YlGnBu", vmin=0, vmax=1, aspect="auto")
    for i, j in product(range(len(labels)), repeat=2):
        text = "–" if math.isnan(values[i, j]) else f"{values[i, j]:.2f}".replace("0.", ".")
        color = "white" if values[i, j] > 0.6 else INK
        ax.text(j, i, text, ha="center", va="center", size=6, color=color)
    upright = 90 if max(map(len, labels)) > 4 else 0
    ax.set_xticks(range(len(labels)), labels, rotation=upright)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def influence(readout: Readout, place: int) -> tuple[Figure, Rows]:
    """Pool text that helps, and that harms, a target example of the task at `place` (Figs 24–26).

    Of the sample of candidates, by the scores of the smallest proxy, the figures' proxy and the
    reference; the example is the first of the target, which is in random order.
    """
    table = readout.more("influence")
    task = table["task"].unique().to_pylist()[place]
    table = table.filter(pc.equal(table["task"], task))
    named = (readout.smallest, readout.proxy, readout.reference)
    sheet = Sheet(
        readout.style,
        f"A target example of {readout.style.label(task)}, and pool text scored for it",
    )
    first = table.slice(0, 1).to_pylist()[0]
    asked = Passage.of(first["prompt"], first["continuation"])
    top = 0.32
    top += sheet.passage(2 * EDGE, top, sheet.width - 3 * EDGE, 7, asked, end=True) + 0.08
    rows: Rows = []
    for scale in dict.fromkeys(named):
        mine = table.filter(pc.equal(table["scale"], scale)).to_pylist()
        top = _columns(sheet, readout, top, scale, mine)
        rows += mine
    if not rows:
        raise UserError("no influence is known at these scales", where="scale", value=named[0])
    return sheet.finish(top), rows


def _columns(sheet: Sheet, readout: Readout, top: float, scale: str, rows: Rows) -> float:
    """One scale's text, what helps on the left, what harms on the right; where it ends."""
    width = (sheet.width - 2 * EDGE) / 2
    sheet.rule(top)
    sheet.write(EDGE, top + 0.14, readout.style.label(scale))
    bottom = top
    for column, (side, words) in enumerate(SIDES.items()):
        left, below = EDGE + column * width, top + 0.28
        sheet.write(left + width - 0.1, top + 0.14, words, size=SMALL, ends=True)
        for row in sorted((r for r in rows if r["side"] == side), key=lambda r: r["rank"]):
            told = f"{row['source']}, score {row['score']:+.1f} sd".replace("-", "−")
            sheet.write(left + 0.1, below, told, size=SMALL - 1)
            text = Passage(clean(row["text"]), len(row["text"]) * 4)
            below += sheet.passage(left + 0.1, below + 0.03, width - 0.2, LINES, text, end=False)
            below += 0.17
        bottom = max(bottom, below)
    return bottom - 0.02
