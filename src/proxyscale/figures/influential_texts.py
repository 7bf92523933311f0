"""Figures 24 to 26: the text that moves a target example most, as the scales score it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.style import SMALL
from proxyscale.figures.text_layout import EDGE, Passage, Sheet
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDES = {"helpful": "lowers the loss most", "harmful": "raises the loss most"}
LINES = 6  # of a text
READS = ("statistics", "losses", "runs", "influence")
CAPTION = (
    "Pool text that helps, and that harms, a target example, by the scores of the smallest proxy, "
    "the figures' proxy and the reference."
)


@figure("influence_fig24", caption=CAPTION, reads=READS, place=0)
@figure(
    "influence_fig25",
    caption=CAPTION,
    reads=READS,
    exists=lambda facts: facts.compared_tasks > 1,
    place=1,
)
@figure(
    "influence_fig26",
    caption=CAPTION,
    reads=READS,
    exists=lambda facts: facts.compared_tasks > 2,
    place=2,
)
def influence(data: FigureData, place: int) -> tuple[Figure, Rows]:
    """Pool text that helps, and that harms, a target example of the task at `place` (Figs 24–26).

    Of the sample of candidates, by the scores of the smallest proxy, the figures' proxy and the
    reference; the example is the first of the target, which is in random order.
    """
    table = data.table("influence")
    task = table["task"].unique().to_pylist()[place]
    table = table.filter(pc.equal(table["task"], task))
    named = (data.smallest, data.proxy, data.reference)
    sheet = Sheet(
        data.style,
        f"A target example of {data.style.label(task)}, and pool text scored for it",
    )
    first = table.slice(0, 1).to_pylist()[0]
    table = table.drop_columns(["prompt_starts", "scored_from"])
    room = sheet.width - 3 * EDGE
    top = 0.32
    top += sheet.passage(2 * EDGE, top, room, 7, Passage.asked(first), end=True) + 0.08
    rows: Rows = []
    for scale in dict.fromkeys(named):
        mine = table.filter(pc.equal(table["scale"], scale)).to_pylist()
        top = _columns(sheet, data, top, scale, mine)
        rows += mine
    if not rows:
        raise UserError("no influence is known at these scales", where="scale", value=named[0])
    return sheet.finish(top), rows


def _columns(sheet: Sheet, data: FigureData, top: float, scale: str, rows: Rows) -> float:
    """One scale's text, what helps on the left, what harms on the right; where it ends."""
    width = (sheet.width - 2 * EDGE) / 2
    sheet.rule(top)
    sheet.write(EDGE, top + 0.14, data.style.label(scale))
    bottom = top
    for column, (side, words) in enumerate(SIDES.items()):
        left, below = EDGE + column * width, top + 0.28
        sheet.write(left + width - 0.1, top + 0.14, words, size=SMALL, ends=True)
        for row in sorted((r for r in rows if r["side"] == side), key=lambda r: r["rank"]):
            told = f"{row['source']}, score {row['score']:+.1f} sd".replace("-", "−")
            sheet.write(left + 0.1, below, told, size=SMALL)
            text = Passage.of(row["text"])
            below += sheet.passage(left + 0.1, below + 0.03, width - 0.2, LINES, text, end=False)
            below += 0.17
        bottom = max(bottom, below)
    return bottom - 0.02
