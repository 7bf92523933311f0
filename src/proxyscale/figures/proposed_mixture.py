"""The mixture that is proposed: its shares, and what is foretold against what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import even_ticks, page, shorten
from proxyscale.figures.style import COLORS, GREY, INK, PALE, POINTS, SMALL, Style, key
from proxyscale.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OWN, BEST, OTHER = COLORS[1], COLORS[0], GREY
EMPTY: dict[str, Any] = {
    "what": None,
    "name": None,
    "scale": None,
    "value": None,
    "low": None,
    "high": None,
    "foretold": None,
    "role": None,
}
NAMES = {"proposal": "the proposal", "best": "the best trained mixture", "other": "others"}
LOOKS: dict[str, dict[str, Any]] = {
    "proposal": {"color": OWN, "marker": "D", "markersize": 5},
    "best": {"color": BEST, "marker": "s", "markersize": 4.5},
    "other": {"color": OTHER, "marker": "o", "markersize": 3.5},
}


@figure(
    "proposed_mixture",
    caption="The proposed mixture's shares beside those of the best trained one, a tick at each "
    "source's cap; the objective that is foretold of mixtures left out of the fit against what "
    "they reached, with the proposal's interval; and, where it was trained, what became of the "
    "proposal and its rivals there.",
    reads=("proposal",),
)
def proposed(data: FigureData) -> tuple[Figure, Rows]:
    """Shares; foretold against measured, at the scale that is foretold and where it was trained."""
    record, style = data.table("proposal"), data.style
    shares, points = _shares(record), _points(record)
    scales = list(dict.fromkeys(row["scale"] for row in points))
    figure, (first, *others) = page(
        ["shares", *(_title(record, scale, style) for scale in scales)],
        style,
        title="The mixture that is proposed, and what it promises",
        xlabel="",
        ylabel="",
        legend=_legend(points),
        height=max(1.8, 0.16 * len(record["weights"])),
        wide=True,
    )
    _draw_shares(first, record, style)
    for ax, scale in zip(others, scales, strict=True):
        _draw_points(ax, [row for row in points if row["scale"] == scale], record)
    return figure, [*shares, *points]


def _title(record: Mapping[str, Any], scale: str, style: Style) -> str:
    left = ", left out of the fit" if scale == record["scale"] else ""
    return f"{style.label(scale)}{left}"


def _shares(record: Mapping[str, Any]) -> Rows:
    """A row for each source of the proposal and of the best trained mixture; low, high: limits."""
    limits = record["low_shares"], record["high_shares"]
    return [
        EMPTY
        | {"what": "share", "name": source, "value": share, "role": role}
        | {"low": limits[0][source], "high": limits[1][source]}
        for role, shares in (("proposal", record["weights"]), ("best", record["best_weights"]))
        for source, share in shares.items()
    ]


def _points(record: Mapping[str, Any]) -> Rows:
    """A row for each mixture and scale: value as measured (mean of its runs), low to high: of runs.

    Of the proposal at the scale that it was foretold for: low and high of its interval; its value
    is None until it was trained.
    """
    scale = record["scale"]
    rows = [
        EMPTY | {"what": "mixture", "name": one["recipe"], "scale": scale} | _measured(record, one)
        for one in record["left_out"]
    ]
    trained = {row["scale"]: row["recipes"] for row in record["promise"]}
    own = {"recipe": "proposal", "foretold": record["predicted"], "measured": None}
    there = trained.get(scale, {})
    found = next((one for one in there if one["recipe"] == "proposal"), own)
    interval = {"low": record["low"], "high": record["high"], "foretold": record["predicted"]}
    rows.append(
        EMPTY
        | {"what": "mixture", "name": "proposal", "scale": scale}
        | _measured(record, found)
        | interval
    )
    return rows + [
        EMPTY | {"what": "mixture", "name": one["recipe"], "scale": at} | _measured(record, one)
        for at, recipes in trained.items()
        if at != scale
        for one in recipes
        if one["foretold"] is not None
    ]


def _measured(record: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    """What was foretold and measured of a mixture, and which it is."""
    best = one["recipe"] == record["best_trained"]
    runs = one.get("runs") or [None]
    return {
        "value": one["measured"],
        "low": min(runs),
        "high": max(runs),
        "foretold": one["foretold"],
        "role": "proposal" if one["recipe"] == "proposal" else "best" if best else "other",
    }


def _legend(points: Rows) -> list[Any]:
    roles = [role for role in NAMES if any(row["role"] == role for row in points)]
    marks = [key(NAMES[role], ls="none", **LOOKS[role]) for role in roles]
    return [*marks, key("as foretold (elsewhere: but for the level)", color=PALE, lw=0.8)]


def _draw_shares(ax: Axes, record: Mapping[str, Any], style: Style) -> None:
    """A pair of bars for each source, from the largest proposed share down."""
    names = sorted(record["weights"], key=lambda name: record["weights"][name])
    places = np.arange(len(names))
    for shift, shares, color in (
        (0.2, record["weights"], OWN),
        (-0.2, record["best_weights"], BEST),
    ):
        ax.barh(places + shift, [shares[name] for name in names], 0.36, color=color)
    for place, name in zip(places, names, strict=True):
        cap = record["high_shares"][name]
        if cap < 1:
            ax.plot([cap, cap], [place - 0.42, place + 0.42], color=INK, lw=1.0)
    width = 0.28 * style.width / 3 * POINTS
    ax.set_yticks(places, [shorten(style.label(name), 2 * width, SMALL) for name in names])
    ax.set_xlim(0, None)
    ax.set_xlabel("share of tokens")
    ax.grid(axis="x", color=PALE, lw=0.4)


def _draw_points(ax: Axes, rows: Rows, record: Mapping[str, Any]) -> None:
    """Measured over foretold; the proposal's interval lies across, runs of others upright."""
    known = [row for row in rows if row["value"] is not None]
    line = _line(known, record)
    if line is not None:
        ax.axline(line, slope=1, color=PALE, lw=0.8, zorder=0)
    for row in sorted(rows, key=lambda row: list(NAMES).index(row["role"]), reverse=True):
        x, y, look = row["foretold"], row["value"], LOOKS[row["role"]]
        across = row["role"] == "proposal" and row["scale"] == record["scale"]
        if across:
            ax.plot([row["low"], row["high"]], [x if y is None else y] * 2, color=OWN, lw=0.9)
        elif row["low"] is not None:
            ax.plot([x, x], [row["low"], row["high"]], color=look["color"], lw=0.8)
        look = look | ({"markerfacecolor": "white"} if y is None else {})
        ax.plot([x], [x if y is None else y], ls="none", **look)
    own = rows[0]["scale"] == record["scale"]
    ax.set_xlabel(f"objective foretold{'' if own else ' for ' + record['scale']}")
    ax.set_ylabel("objective measured")
    for axis in (ax.xaxis, ax.yaxis):
        even_ticks(axis)


def _line(rows: Rows, record: Mapping[str, Any]) -> tuple[float, float] | None:
    """A point that the line of slope 1 goes through; of another scale, whose level nobody foretold,
    the mean of all."""
    if not rows:
        return None
    x, y = (float(np.mean([row[key] for row in rows])) for key in ("foretold", "value"))
    return x, x if rows[0]["scale"] == record["scale"] else y
