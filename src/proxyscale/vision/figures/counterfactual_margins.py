"""Figure 14: margins of single test images, small width against large, over training sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from proxyscale.base.tables import where
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import even_ticks, page, shorten
from proxyscale.figures.signed_r2 import lever, short
from proxyscale.figures.style import PALE, POINTS, SMALL, Style, keys, marks
from proxyscale.registry import figure
from proxyscale.vision.counterfactuals import margin_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@figure(
    "counterfactual_fig14",
    caption="Margins of single test images at a small and at a large width, models averaged, a "
    "point per training distribution; larger points leave more out. Above, R² over all of them and "
    "over each group; in the panel what one distribution less makes of it, and which moves it "
    "most.",
    reads=("statistics", "losses"),
    family="resnet",
    exists=lambda facts: facts.counterfactuals,
)
def of_images(data: FigureData) -> tuple[Figure, Rows]:
    """Margins of the study's test images (Fig 14)."""
    return counterfactual(data.losses, data.statistics, data.style, data.given)


def counterfactual(
    losses: pa.Table, statistics: pa.Table, style: Style, spec: Mapping[str, Any]
) -> tuple[Figure, Rows]:
    """A panel per test image, a point per training distribution: mean margins over models.

    Larger points leave more out. Titles give R² over all distributions and over each group; in the
    panel stands what one distribution less makes of each, and which one moves it most.
    """
    section = spec["counterfactuals"]
    removals = dict(spec["removals"])
    looks = marks(list(removals), style)
    proxy, large = style.label(section["proxy"]), style.label(section["large"])
    titles = [_title(statistics, spec, style, image) for image in section["images"]]
    groups = [f"{g}: {', '.join(map(style.label, names))}" for g, names in spec["groups"].items()]
    legend = "; ".join(["larger marks leave more out", *groups])
    figure, axes = page(
        titles,
        style,
        title=f"Margins of single test images when a part of the pool is left out, "
        f"{proxy} against {large}",
        xlabel=f"margin with {proxy}: log-odds of the correct class ({legend})",
        ylabel=f"margin with {large}",
        legend=keys(looks),
        height=1.7,
    )
    rows: Rows = []
    for ax, image in zip(axes, section["images"], strict=True):
        for point in margin_points(losses, spec, image):
            shares = removals[point["distribution"]]
            size = 3.0 + 2.5 * (shares.index(point["share"]) + 1) / len(shares)
            mark = looks[point["distribution"]]
            ax.plot(point["proxy"], point["large"], ls="none", **mark.look(size))
            rows.append({"test_image": image} | point)
        _tell_without_one(ax, statistics, spec, style, image)
        even_ticks(ax.xaxis)
        even_ticks(ax.yaxis)
        ax.grid(color=PALE, lw=0.4)
    return figure, rows


def _tell_without_one(
    ax: Axes, statistics: pa.Table, spec: Mapping[str, Any], style: Style, image: int
) -> None:
    """What one distribution less makes of R², of all and of each group, above the points."""
    place = {"statistic": "pearson_leave_one_out", "level": "example", "example": image}
    found = {row["group"]: lever(row) for row in where(statistics, **place).to_pylist()}
    lines = [
        line
        for group in ("all", *spec["groups"])
        if (one := found.get(group))
        for line in (
            f"{style.label(group)} less one: {short(one['least_without_one'])} to "
            f"{short(one['most_without_one'])}",
            f"(most: {shorten(one['most_influential'], 0.9 * POINTS, SMALL)})",
        )
    ]
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.1 * len(lines) * (high - low))
    ax.text(0.03, 0.98, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=SMALL)


def _title(statistics: pa.Table, spec: Mapping[str, Any], style: Style, image: int) -> str:
    """The image's number, and R² over all training distributions and over each group."""
    found = where(statistics, statistic="r2", level="example", example=image)
    values = {row["group"]: row["value"] for row in found.to_pylist()}
    signs = where(statistics, statistic="pearson", level="example", example=image)
    negative = {row["group"] for row in signs.to_pylist() if (row["value"] or 0) < 0}

    def told(group: str) -> str:
        value = values.get(group)
        mark = " (r < 0)" if group in negative else ""
        return f"{style.label(group)} {'n/a' if value is None else f'{value:.2f}'}{mark}"

    return f"image {image}: R² " + ", ".join(told(group) for group in ("all", *spec["groups"]))
