"""Text in figures: passages in a fixed-width face on a page that is laid out by hand."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from proxyscale.figures.faces import files_of, fitting, tell_lacking, written
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
    """A text as `families` can write it, of which all from `scored_from` on is asked for.

    `starts` are the places where tokens begin in what stands before that, None if they are not
    known; a model reads none of the first `unread`, and the text begins after them.
    """

    text: str
    scored_from: int
    families: tuple[str, ...] = (FACE,)
    lacking: frozenset[int] = frozenset()
    starts: tuple[int, ...] | None = None
    unread: int = 0

    @classmethod
    def asked(cls, row: Mapping[str, Any]) -> Passage:
        """An example as it is put to a model; a text without a prompt is scored as a whole."""
        return cls.of(row["prompt"], row["continuation"], row["prompt_starts"], unread(row))

    @classmethod
    def of(
        cls, given: str, scored: str = "", starts: Sequence[int] | None = None, unread: int = 0
    ) -> Passage:
        """What is given, with the places where its tokens begin, and what is scored."""
        families, lacking = fitting(given + scored, FACE)
        begin = starts[unread] if starts and unread else 0
        read, asked = (_clean(text, families) for text in (given[begin:], scored))
        if starts is not None:
            starts = [len(_clean(given[begin:at], families)) for at in starts[unread:]]
        places = None if starts is None else tuple(starts)
        return cls(read + asked, len(read), tuple(families), frozenset(lacking), places, unread)

    def gone(self, begin: int) -> str:
        """How much of the prompt stands before what is shown, the text from `begin` on."""
        starts = None if self.starts is None else [*self.starts, self.scored_from]
        return "… " + left_out(begin, starts, self.unread)


def unread(row: Mapping[str, Any]) -> int:
    """How many tokens at the beginning of a test example's prompt no model reads."""
    starts = row["prompt_starts"]
    return max(0, len(starts) - int(row["scored_from"])) if starts else 0


def left_out(begin: int, starts: Sequence[int] | None, unread: int) -> str:
    """How much of a prompt stands before a place: tokens, characters where there are none.

    `starts` are the places where the tokens after the first `unread` begin, and the prompt's end.
    """
    if starts is None:
        return f"{begin:,} characters"
    tokens = unread + sum(end <= begin for end in starts[1:])
    of_them = "" if tokens == unread else f"{unread:,} of them "
    return f"{tokens:,} token{'s' * (tokens != 1)}" + (f", {of_them}unread" if unread else "")


def _clean(text: str, families: Sequence[str]) -> str:
    return written(text.expandtabs(4).replace("\r", ""), families)


@functools.cache
def _cells(character: str, families: tuple[str, ...]) -> float:
    """How many columns a character takes, in the first of the faces that has it."""
    from matplotlib.font_manager import get_font
    from matplotlib.ft2font import LoadFlags

    for path in files_of(families):
        font = get_font(path)
        if font.get_char_index(ord(character)):
            font.set_size(TYPE, POINTS)
            glyph = font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
            return float(glyph.linearHoriAdvance) / 65536 / (ADVANCE * TYPE)
    return 0.0


def cells(text: str, families: tuple[str, ...] = (FACE,)) -> float:
    """How many columns a text takes."""
    return sum(_cells(character, families) for character in text)


def spans(text: str, columns: int, families: tuple[str, ...] = (FACE,)) -> list[tuple[int, int]]:
    """Start and end of every line of at most so many columns, broken after a space, else after a
    mark, and within a word only where there is neither."""
    found = []
    for line in re.finditer(r"[^\n]*\n|[^\n]+\Z", text):
        start, end = line.start(), line.end() - line.group().endswith("\n")
        widths = [_cells(character, families) for character in text[start:end]]
        while sum(widths) > columns:
            fits = sum(wide <= columns for wide in itertools.accumulate(widths))
            cut = _break(text[start : start + fits + 1], max(fits, 1))
            found.append((start, start + cut))
            start, widths = start + cut, widths[cut:]
        found.append((start, end))
    return found


def _break(line: str, columns: int) -> int:
    """How much of a line, of which a character more is given, stands in so many columns."""
    for mark in (r"\s(?=\S)", r"(?<=\w)(?!\.\d)[^\w\s](?=.)", r"_(?=[^_])"):
        ends = [m.end() for m in re.finditer(mark, line) if columns // 2 < m.end() <= columns]
        if ends:
            return ends[-1]
    return columns


def lines(passage: Passage, columns: int, rows: int, *, end: bool) -> list[tuple[str, str]]:
    """At most `rows` lines, each in two parts: what is given and what is scored.

    Of a text that is too long the beginning is shown, or with `end` the end, and before it how much
    is left out.
    """
    text = passage.text
    found = [(a, b) for a, b in spans(text, columns, passage.families) if text[a:b].strip()]
    told = end and rows > 1 and (len(found) > rows or passage.unread > 0)
    kept = found[-rows + told :] if end else found[:rows]
    shown = []
    if told:
        shown.append((passage.gone(kept[0][0] if len(kept) < len(found) else 0)[:columns], ""))
    for number, (start, stop) in enumerate(kept):
        line, edge = text[start:stop], max(0, passage.scored_from - start)
        if not told and len(found) > rows and number == (0 if end else len(kept) - 1):
            line = "…" + line[1:] if end else _whole_words(line, columns - 1) + "…"
        shown.append((line[:edge], line[edge:]))
    return shown


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
        self.lacking: set[int] = set()
        self.write(EDGE, 0.22, shorten(title, (self.width - 2 * EDGE) * POINTS, TEXT + 0.5))

    def finish(self, height: float) -> Figure:
        """The page, of that height; which characters no font has is told."""
        tell_lacking(self.lacking)
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
        """A passage in a box of that width, in at most `rows` lines; its height.

        What is written from right to left begins at the right.
        """
        self.lacking |= passage.lacking
        cell = ADVANCE * TYPE / POINTS
        shown = lines(passage, int(width / cell), rows, end=end)
        leftward = _is_leftward(passage.text)
        start, way = (left + width, -1) if leftward else (left, 1)
        for i, parts in enumerate(shown):
            at, base = start, top + (i + 0.8) * STEP
            for text, color in zip(parts, (INK, SCORED), strict=True):
                if text.strip():
                    words: dict[str, Any] = {"size": TYPE, "family": list(passage.families)}
                    words |= {"color": color, "ha": "right" if leftward else "left"}
                    self.figure.text(at, base, text, transform=self.place, **words)
                at += way * cell * cells(text, passage.families)
        return len(shown) * STEP


def _is_leftward(text: str) -> bool:
    """Whether the first character that has a direction is written from right to left."""
    ways = (unicodedata.bidirectional(character) for character in text)
    return next((way != "L" for way in ways if way in ("L", "R", "AL")), False)
