"""How all figures look: colours and marks, type and strokes.

The marks are told apart without colour (shape, then filled or hollow), the colours by those who
see fewer hues (Okabe and Ito 2008, without its yellow, darkened to a contrast of 3 : 1 with paper,
and more of the kind); `DARK` are the same on a dark page. The report reads these tables, too. Here
and in all modules of figures matplotlib is imported where something is drawn: a study is loaded
without it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from proxyscale.base.errors import UserError
from proxyscale.figures.faces import FACE

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#C4689B", "#3391D0", "#B97F00", "#222222"),
    *("#882255", "#8C8C2B", "#7A5CB8"),
)
DARK = (
    *("#4DA3DB", "#F0803C", "#2FBF97", "#E08FBD", "#8CCBF2", "#E6B23C", "#E8E8E8"),
    *("#D56BA0", "#C2C25A", "#A68CE0"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
EVEN = {"D": 0.9, "P": 1.3, "X": 1.3, "p": 1.2, "^": 1.1, "v": 1.1, "<": 1.1, ">": 1.1}
# What foretells the reference, the same place in the palette everywhere.
PREDICTORS = {
    "single scale": "single scale",
    "law2": "power law",
    "law3": "power law with a floor",
    "loss_to_loss": "loss-to-loss law",
}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))
INK, GREY, PALE, ALARM = "#222222", "#6B6B6B", "#D9D9D9", "#B2182B"
MOST_MARKS = 2 * len(COLORS)
TEXT, LEGEND, SMALL = 8.0, 7.5, 7.0  # points, at final size
POINTS = 72.0  # an inch
LINE = 0.16  # inches

RC: dict[Any, Any] = {
    "font.family": [FACE],
    "font.size": TEXT,
    "text.parse_math": False,  # a name may hold a dollar sign
    "text.color": INK,
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": TEXT,
    "axes.titlepad": 4.0,
    "axes.unicode_minus": True,
    "figure.titlesize": TEXT + 0.5,
    "figure.labelsize": TEXT,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.04,
    "hatch.linewidth": 0.6,
    "legend.fontsize": LEGEND,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.0,
    "pdf.fonttype": 42,  # TrueType: publishers refuse matplotlib's default, Type 3
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "proxyscale",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
}


@dataclass(frozen=True)
class Style:
    """What a study may say about its figures.

    `width` of a page and `column` of a lone panel (inches), `labels` to print for names, `tasks`
    in the order to draw them (default: as in the losses), the accuracy that each has by `chance`
    (default: that of the best of `statistics.guesses`) and the losses' `unit`.
    """

    width: float = 5.5
    column: float = 3.25
    labels: Mapping[str, str] = field(default_factory=dict)
    tasks: Sequence[str] = ()
    chance: Mapping[str, float] = field(default_factory=dict)
    unit: str | None = "nats per token"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Style:
        """The style that a config describes. UserError for an option that there is not."""
        known = list(cls.__dataclass_fields__)
        for name in options:
            if name not in known:
                where = "figures.style"
                raise UserError("no such option", where=where, value=name, allowed=known)
        return cls(**options)

    def label(self, name: str) -> str:
        """The words to print for a task, distribution or scale."""
        return self.labels.get(name, name)

    def measured(self, losses: bool, of: str) -> str:
        """What an axis shows: the mean loss, or value, `of` a model."""
        what = "mean loss" if losses else "mean value"
        return f"{what} of {of}" + (f" ({self.unit})" if self.unit else "")


class Mark(NamedTuple):
    """How one name looks wherever it is drawn; names beyond the palette share their family's.

    `place` is that of the colour in the palette.
    """

    label: str
    place: int
    marker: str
    filled: bool
    line: int = 0  # of `DASHES`

    @property
    def color(self) -> str:
        """The colour on paper."""
        return COLORS[self.place]

    @property
    def dash(self) -> Any:
        """How its line is dashed, as matplotlib says it."""
        return DASHES[self.line]

    def look(self, size: float = 4.5) -> dict[str, Any]:
        """Keywords of a matplotlib line for its points."""
        face, edge = (self.color, "white") if self.filled else ("white", self.color)
        return {
            "color": self.color,
            "marker": self.marker,
            "markersize": size * EVEN.get(self.marker, 1.0),
            "markerfacecolor": face,
            "markeredgecolor": edge,
            "markeredgewidth": 0.4 if self.filled else 0.9,
        }


def marks(names: Sequence[str], style: Style) -> dict[str, Mark]:
    """A mark for each name, in order: shapes and colours, then the same ones hollow.

    More names than marks are drawn by family (the name without its final number), and as one
    where there are too many families as well.
    """
    keys = list(names)
    if len(keys) > MOST_MARKS:
        keys = [re.sub(r"[-_. ]*\d+$", "", name) or name for name in names]
    if len(set(keys)) > MOST_MARKS:
        keys = ["distributions"] * len(names)
    place = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return {
        name: _mark(place[key], style.label(key)) for name, key in zip(names, keys, strict=True)
    }


def in_groups(
    marks: Mapping[str, Mark], groups: Mapping[str, Sequence[str]], style: Style
) -> dict[str, Mark]:
    """The marks, their labels with the groups to which all belong who look so."""
    alike: dict[Mark, list[str]] = {}
    for name, mark in marks.items():
        alike.setdefault(mark, []).append(name)
    found: dict[str, Mark] = {}
    for mark, names in alike.items():
        shared = [style.label(group) for group, held in groups.items() if {*names} <= {*held}]
        label = f"{mark.label} ({', '.join(shared)})" if shared else mark.label
        found |= dict.fromkeys(names, mark._replace(label=label))
    return {name: found[name] for name in marks}


def beside(names: Sequence[str], others: Mapping[str, Mark], style: Style) -> dict[str, Mark]:
    """A mark for each of other things: of a name among `others` its mark, else the next free one.

    All are filled, since hollow says something of a point; beyond the palette marks repeat.
    """
    shared = {name: others[name].place for name in names if name in others}
    free = [place for place in range(len(COLORS)) if place not in shared.values()]
    places = itertools.cycle(free or range(len(COLORS)))
    return {
        name: _mark(shared[name] if name in shared else next(places), style.label(name))
        for name in names
    }


def predictor_marks() -> dict[str, Mark]:
    """The mark of each kind of predictor."""
    return {name: _mark(i, label) for i, (name, label) in enumerate(PREDICTORS.items())}


def _mark(place: int, label: str) -> Mark:
    turn, i = divmod(place, len(COLORS))
    return Mark(label, i, MARKERS[i], turn == 0, place % len(DASHES))


def keys(marks: Mapping[str, Mark], *, line: bool = False) -> list[Line2D]:
    """Legend entries of the marks, each label once, in order."""
    once = {mark.label: mark for mark in marks.values()}
    return [
        key(mark.label, linestyle=mark.dash if line else "none", **mark.look())
        for mark in once.values()
    ]


def key(label: str, **look: Any) -> Line2D:
    """A legend entry that looks so: keywords of a matplotlib line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **look)
