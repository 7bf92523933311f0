"""Figures 7, 22 and 23: the training images that help and harm a test image most, by width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.figures.figure_data import FigureData, Rows
from proxyscale.figures.layout import wrap
from proxyscale.figures.style import GREY, INK, POINTS, SMALL, TEXT, Style
from proxyscale.registry import figure
from proxyscale.vision.images import Images
from proxyscale.vision.score_matrices import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 5  # images on each side
HELP, HARM = "#009E73", "#D55E00"
CAPTION = (
    "The training images that help a test image most, and those that harm it most, a row per width."
)


@figure("influence_fig7", caption=CAPTION, reads=("images", "scores"), family="resnet", place=0)
@figure("influence_fig22", caption=CAPTION, reads=("images", "scores"), family="resnet", place=1)
@figure("influence_fig23", caption=CAPTION, reads=("images", "scores"), family="resnet", place=2)
def of_target(data: FigureData, place: int) -> tuple[Figure, Rows]:
    """What moves the study's test image of a place among its `figures.targets`."""
    given = data.given
    holdout = given["tasks"][given["task"]] / "holdout/manifest.json"
    spec = {**given, "target": given["targets"][place]}
    return influence(given["pool"], holdout, given["scores"], data.style, spec)


def influence(
    pool: Path,
    holdout: Path,
    scores: Mapping[str, Sequence[Path]],
    style: Style,
    spec: Mapping[str, Any],
) -> tuple[Figure, Rows]:
    """A page for the test image `spec["target"]`: rows are widths, cheapest first.

    `pool` and `holdout` are manifests, `scores` each scale's ensembles. Each image has its class
    below it, and a green frame where that is the test image's, else an orange one. UserError
    if there is no such image.
    """
    train, test, target = Images.open(pool), Images.open(holdout), spec["target"]
    if target >= len(test):
        message = f"there are {len(test)} test images, and none numbered {target}"
        raise UserError(message, where="figures.targets", value=target)
    rows = []
    for scale, folders in scores.items():
        opened, asked = Scores.open(folders, spec["task"], spec["q"]), slice(target, target + 1)
        values = opened.mean(tests=asked)[0]
        order = np.argsort(-values, kind="stable")
        sides = {"helpful": order[:SHOWN], "detrimental": order[::-1][:SHOWN]}
        rows += [
            {
                "test_image": target,
                "scale": scale,
                "side": side,
                "rank": rank + 1,
                "example": int(example),
                "class": train.classes[train.labels[example]],
                "score": float(values[example]),
            }
            for side, examples in sides.items()
            for rank, example in enumerate(examples)
        ]
    return _draw(rows, train, test, style, spec), rows


def _draw(rows: Rows, train: Images, test: Images, style: Style, spec: Mapping[str, Any]) -> Figure:
    from matplotlib.figure import Figure

    scales = list(dict.fromkeys(row["scale"] for row in rows))
    own = test.classes[test.labels[spec["target"]]]
    side = (style.width - 0.55) / (2 * SHOWN + 1.9)  # inches, of one image
    height = len(scales) * (side + 0.17) + 0.85
    figure = Figure(figsize=(style.width, height))
    title = f"Training images that move the margin of a test image of class {own} most, by width"
    text = wrap(title, (style.width - 0.3) * POINTS, TEXT + 0.5)
    figure.text(0.5, 1 - 0.08 / height, text, ha="center", va="top", color=INK, fontsize=TEXT + 0.5)

    def axes(column: float, row: int) -> Axes:
        """A square place, `column` images from the left."""
        bottom = height - 0.58 - row * (side + 0.17) - side
        left = 0.5 + column * side
        ax = figure.add_axes(
            (left / style.width, bottom / height, 0.92 * side / style.width, 0.92 * side / height)
        )
        ax.set(xticks=[], yticks=[])
        return ax

    middle = (len(scales) - 1) / 2
    ax = axes(0, 0)
    ax.set_position(_lowered(ax, middle * (side + 0.17) / height))
    _show(ax, test.pixels[spec["target"]], f"test: {own}", INK)
    for row in rows:
        start = 1.4 if row["side"] == "helpful" else 1.8 + SHOWN
        ax = axes(start + row["rank"] - 1, scales.index(row["scale"]))
        _show(ax, train.pixels[row["example"]], row["class"], HELP if row["class"] == own else HARM)
    for number, scale in enumerate(scales):
        y = (height - 0.58 - number * (side + 0.17) - side / 2) / height
        figure.text(0.04 / style.width, y, style.label(scale), va="center", fontsize=SMALL)
    words = "frames: green, the class of the test image; orange, another"
    figure.text(0.5, 0.06 / height, words, ha="center", va="bottom", color=GREY, fontsize=SMALL)
    for start, words in ((1.4, "most helpful →"), (1.8 + SHOWN, "most detrimental →")):
        x, y = (0.5 + start * side) / style.width, 1 - 0.52 / height
        figure.text(x, y, words, va="bottom", color=GREY, fontsize=SMALL)
    return figure


def _lowered(ax: Axes, share: float) -> tuple[float, float, float, float]:
    x, y, wide, tall = ax.get_position().bounds
    return x, y - share, wide, tall


def _show(ax: Axes, pixels: np.ndarray[Any, Any], label: str, color: str) -> None:
    """One image with its class below and a frame."""
    shown = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    ax.imshow(shown, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    ax.spines[:].set(visible=True, color=color, linewidth=1.2)
    ax.set_xlabel(label, fontsize=SMALL - 1, color=color, labelpad=1.5)
