"""Text in figures: passages in a fixed-width face on a page that is laid out by hand."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from proxyscale.figures.layout import shorten
from proxyscale.figures.style import COLORS, GREY, INK, PALE, POINTS, TEXT, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FACE = "DejaVu Sans Mono"  # comes with matplotlib
ADVANCE = 0.6021  # of the face, in font sizes
TYPE = 7.0  # points
STEP = 1.22 * TYPE / POINTS  # from line to line, inches
EDGE = 0.1  # inches
SCORED = COLORS[1]


class Passage(NamedTuple):
    """A text, of which everything from `scored_from` on (in characters) is asked for."""

    text: str
    scored_from: int

    @classmethod
    def of(cls, prompt: str, continuation: str) -> Passage:
        """An example as it is put to a model; a text without a prompt is scored as a whole."""
        prompt, continuation = clean(prompt), clean(continuation)
        whole = prompt + continuation
        return cls(whole, len(prompt))


def clean(text: str) -> str:
    """The text with tabs as spaces, and a box for what the face cannot show."""
    known = _characters()
    text = text.expandtabs(4).replace("\r", "")
    return "".join(c if c == "\n" or ord(c) in known else "□" for c in text)


@functools.cache
def _characters() -> frozenset[int]:
    from matplotlib import font_manager

    path = font_manager.findfont(font_manager.FontProperties(family=FACE))
    return frozenset(font_manager.get_font(path).get_charmap())


def spans(text: str, columns: int) -> list[tuple[int, int]]:
    """Start and end of every line of at most `columns` characters, broken after a space, else after
    a mark, and within a word only where there is neither."""
    found = []
    for line in re.finditer(r"[^\n]*\n|[^\n]+\Z", text):
        start, end = line.start(), line.end() - line.group().endswith("\n")
        while end - start > columns:
            cut = start + _break(text[start : start + columns + 1], columns)
            found.append((start, cut))
            start = cut
        found.append((start, end))
    return found


def _break(line: str, columns: int) -> int:
    """How much of a line, of which a character more is given, stands in so many columns."""
    for mark in (r"\s(?=\S)", r"(?<=\w)(?!\.\d)[^\w\s](?=.)", r"_(?=[^_])"):
        ends = [m.end() for m in re.finditer(mark, line) if columns // 2 < m.end() <= columns]
        if ends:
            return ends[-1]
    return columns


def lines(passage: Passage, columns: int, rows: int, *, end: bool) -> tuple[list[str], list[str]]:
    """At most `rows` lines, twice: what is given and what is scored, blank where the other is.

    Of a text that is too long the beginning is shown, or with `end` the end, and before it how many
    characters are left out.
    """
    found = [(a, b) for a, b in spans(passage.text, columns) if passage.text[a:b].strip()]
    kept = found[-rows:] if end else found[:rows]
    given, scored = [], []
    for number, (start, stop) in enumerate(kept):
        line, edge = passage.text[start:stop], max(0, passage.scored_from - start)
        if len(found) > rows and number == (0 if end else len(kept) - 1):
            if end and rows > 1:
                given.append(f"… {kept[1][0]:,} characters"[:columns])
                scored.append("")
                continue
            line = "…" + line[1:] if end else _whole_words(line, columns - 1) + "…"
        given.append(line[:edge])
        scored.append(" " * min(edge, len(line)) + line[edge:])
    return given, scored


def _whole_words(line: str, columns: int) -> str:
    """The beginning of a line, cut after a word if that is not too early."""
    kept = line[:columns]
    cut = kept.rfind(" ")
    return kept[:cut] if cut > columns // 2 and len(line) > columns else kept


class Sheet:
    """A page measured in inches from its upper left corner; `finish` gives it its height."""

    def __init__(self, style: Style, title: str) -> None:
        from matplotlib.figure import Figure
        from matplotlib.transforms import Affine2D, BboxTransformTo, ScaledTranslation

        self.width = style.width
        self.figure = Figure(figsize=(style.width, 1.0))
        corner = ScaledTranslation(0, 1, BboxTransformTo(self.figure.bbox))
        self.place = Affine2D().scale(1, -1) + self.figure.dpi_scale_trans + corner
        self.axes: list[tuple[Axes, tuple[float, float, float, float]]] = []
        self.write(EDGE, 0.22, shorten(title, (self.width - 2 * EDGE) * POINTS, TEXT + 0.5))

    def finish(self, height: float) -> Figure:
        """The page, of that height."""
        self.figure.set_size_inches(self.width, height)
        for ax, (left, top, wide, high) in self.axes:
            across, up = left / self.width, (height - top - high) / height
            ax.set_position((across, up, wide / self.width, high / height))
        return self.figure

    def panel(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes whose frame has this place."""
        ax = self.figure.add_subplot()
        self.axes.append((ax, (left, top, width, height)))
        return ax

    def write(
        self, left: float, base: float, text: str, *, size: float = TEXT, ends: bool = False
    ) -> None:
        """One line of text on a base line, from `left` on; with `ends` up to there, and pale."""
        look: dict[str, Any] = {"color": GREY if ends else INK, "ha": "right" if ends else "left"}
        self.figure.text(left, base, text, size=size, transform=self.place, **look)

    def rule(self, top: float) -> None:
        """A thin line across the page."""
        from matplotlib.lines import Line2D

        ends = [EDGE, self.width - EDGE]
        self.figure.add_artist(Line2D(ends, [top, top], color=PALE, lw=0.6, transform=self.place))

    def passage(
        self, left: float, top: float, width: float, rows: int, passage: Passage, *, end: bool
    ) -> float:
        """A passage in a box of that width, in at most `rows` lines; its height."""
        columns = int(width * POINTS / (ADVANCE * TYPE))
        both = lines(passage, columns, rows, end=end)
        for texts, color in zip(both, (INK, SCORED), strict=True):
            for i, text in enumerate(texts):
                if text.strip():
                    base = top + (i + 0.8) * STEP
                    words: dict[str, Any] = {"size": TYPE, "family": FACE, "color": color}
                    self.figure.text(left, base, text, transform=self.place, **words)
        return len(both[0]) * STEP
