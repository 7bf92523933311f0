"""The faces that names are written in: matplotlib's own, and this machine's for what it lacks.

Files are the same on all machines as long as names need no more than matplotlib's own face.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACE = "DejaVu Sans"  # comes with matplotlib
TOLD = 20  # characters that are named
NAMES = {"task", "group", "proxy", "reference", "scale", "distribution", "source"}  # columns


@functools.cache
def _characters(path: str) -> frozenset[int]:
    """The characters that a font file has; none of one that cannot be read."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@functools.cache
def _writable(families: tuple[str, ...]) -> frozenset[int]:
    """The characters that any of these families has."""
    return frozenset().union(*(_characters(path) for path in files_of(families)))


def files_of(families: Sequence[str]) -> list[str]:
    """The font file of each family."""
    from matplotlib.font_manager import FontProperties, findfont

    return [findfont(FontProperties(family=[family])) for family in families]


def names_in(given: Any) -> Iterator[str]:
    """Every text that a figure may write as a name: of tables those in columns of names."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping):
        yield from names_in([*given.keys(), *given.values()])
    elif isinstance(given, pa.Table):
        for column in NAMES.intersection(given.column_names):
            yield from names_in(given[column].unique().to_pylist())
    elif isinstance(given, Sequence):
        for one in given:
            yield from names_in(one)


def faces(text: str) -> list[str]:
    """The families to write a name in; what none of this machine's has is told on stderr."""
    found, lacking = fitting(text, FACE)
    tell_lacking(lacking)
    return found


def fitting(text: str, own: str) -> tuple[list[str], set[int]]:
    """The families to write a text in, one of matplotlib's own first: so many more as it needs of
    this machine's, those that have most of what is missing; and the characters that none has."""
    from matplotlib.font_manager import fontManager

    found = [own]
    missing = {ord(c) for c in text if c.isprintable()} - _writable((own,))
    plain = {e.fname: e.name for e in fontManager.ttflist if e.style == "normal"} if missing else {}
    while missing:
        best = max(sorted(plain), key=lambda path: len(missing & _characters(path)), default="")
        if not best or not missing & _characters(best):
            break
        found.append(plain[best])
        missing -= _characters(best)
    return found, missing


def tell_lacking(characters: Collection[int]) -> None:
    """Say on stderr which characters no font of this machine has, the first of them by name."""
    if characters:
        told = "".join(map(chr, sorted(characters)[:TOLD]))
        more = f" and {len(characters) - TOLD:,} more" if len(characters) > TOLD else ""
        print(f"no font on this machine has {told}{more}: written by number", file=sys.stderr)


def written(text: str, families: Sequence[str]) -> str:
    r"""The text as these families can write it: what they lack by its number, as `\u8bed`."""
    known = _writable(tuple(families))
    return "".join(c if ord(c) in known or c == "\n" else _by_number(c) for c in text)


def _by_number(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Cf":  # of how others are written: nothing to be seen
        return ""
    return character.encode("unicode_escape").decode()


def make_legible(figure: Figure, families: Sequence[str]) -> None:
    """Have nothing in a figure's names that its faces lack, tick labels included."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    for text in figure.findobj(Text):
        if list(text.get_fontfamily()) == list(families):
            text.set_text(written(text.get_text(), families))
    for axis in figure.findobj(Axis):
        told = axis.get_major_formatter()
        if isinstance(told, FuncFormatter):  # as of ticks that have names
            axis.set_major_formatter(FuncFormatter(functools.partial(_tick, told, tuple(families))))


def _tick(told: Any, families: tuple[str, ...], place: float, number: int | None) -> str:
    return written(str(told(place, number)), families)
