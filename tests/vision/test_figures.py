"""Figures of image studies from invented tables: they show the numbers that they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from proxyscale.base import arrays, artifacts
from proxyscale.base.errors import UserError
from proxyscale.figures.style import Style
from proxyscale.statistics.measures import pearson
from proxyscale.statistics.proxy_statistics import as_table
from proxyscale.vision.corpora import build_images
from proxyscale.vision.counterfactuals import counterfactual_rows
from proxyscale.vision.figures import (
    counterfactual_margins,
    influential_images,
    lds,
    score_correlation,
)
from proxyscale.vision.pool import build_image_pool, build_image_task
from proxyscale.vision.score_matrices import Scores

STYLE, SPEC = Style(), {"reference": "wide"}
PLACE = {"level": "distribution", "task": "t", "reference": "wide", "n": 8}


def lds_row(group: str, proxy: str | None, value: float, ratio: float | None) -> dict[str, Any]:
    numbers = {"value": value, "low": value - 0.1, "high": value + 0.1, "ceiling": 0.8}
    names = {"statistic": "lds", "group": group, "proxy": proxy, "compute_ratio": ratio}
    return PLACE | numbers | names


LDS = as_table(
    [
        lds_row("same-class", None, 0.02, None),
        lds_row("trak/1", "narrow", 0.2, 80),
        lds_row("trak/1", "wide", 0.4, 8),
        lds_row("trak/8", "narrow", 0.3, 10),
        lds_row("trak/8", "wide", 0.5, 1),
        lds_row("lasso/64", "narrow", 0.25, 20),
    ]
)


def test_lds_is_drawn_against_relative_compute() -> None:
    figure, rows = lds.over_compute(LDS, STYLE, SPEC)
    assert len(rows) == 6
    (axes,) = figure.axes if figure.axes else figure.subfigs[0].axes
    lines = [tuple(map(float, line.get_xdata())) for line in axes.lines if len(line.get_xdata())]
    assert (1 / 80, 1 / 8) in lines
    assert (1 / 10, 1.0) in lines
    low, high = axes.get_ylim()
    assert low < 0 < 0.8 < high  # the ceiling is in sight
    assert {text.get_text() for text in axes.texts} == {"narrow", "wide"}


@pytest.mark.parametrize(("group", "told"), [("trak/1", "TRAK, 1 model"), ("trak/8", "8 models")])
def test_groups_are_told_in_words(group: str, told: str) -> None:
    assert told in lds._told(group)


def test_the_score_map_is_symmetric_and_in_order() -> None:
    pairs = [("a", "a", 1.0), ("a", "b", 0.4), ("b", "b", 1.0)]
    rows = [
        PLACE | {"statistic": name, "group": "trak/8", "proxy": p, "reference": r, "value": value}
        for name in score_correlation.PANELS
        for p, r, value in pairs
    ]
    figure, _ = score_correlation.score_map(as_table(rows), STYLE, SPEC)
    for axes in figure.subfigs[0].axes:
        assert np.array_equal(axes.images[0].get_array(), [[1, 0.4], [0.4, 1]])
        assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]


SECTION = {"task": "t", "images": [5, 9], "proxy": "narrow", "large": "wide"}
REMOVALS = {
    "counterfactuals": SECTION,
    "removals": [["random", [0.05, 0.1]], ["alike", [0.05, 0.1]]],
    "groups": {"mild": ["random"]},
    "confidence": 0.95,
}


@pytest.fixture(scope="module")
def margins() -> pa.Table:
    """Margins of two test images: two removals, two draws for each image, two seeds."""
    rng = np.random.default_rng(0)
    keys = ("scale", "distribution", "draw", "seed", "example")
    rows = [
        dict(zip(keys, (scale, name, draw, seed, image), strict=True))
        for scale in ("narrow", "wide")
        for name in ("random", "alike")
        for draw in range(4)
        for seed in (0, 1)
        for image in (5, 9)
    ]
    values = [{"task": "t", "tokens": 1, "loss": 1.0, "margin": rng.normal()} for _ in rows]
    return artifacts.conform(
        pa.Table.from_pylist([a | b for a, b in zip(rows, values, strict=True)]), "losses"
    )


def test_counterfactuals_are_read_by_draw(margins: pa.Table) -> None:
    rows = list(counterfactual_rows(margins, REMOVALS))
    frame = margins.to_pandas()
    own = frame[(frame.example == 9) & frame.draw.isin([2, 3])]
    means = own.groupby(["distribution", "draw", "scale"]).margin.mean().unstack()
    expected = float(pearson(means["narrow"].to_numpy(), means["wide"].to_numpy()))
    (found,) = [
        row["value"]
        for row in rows
        if (row["statistic"], row["example"], row["group"]) == ("pearson", 9, "all")
    ]
    assert found == pytest.approx(expected, abs=1e-6)
    x, y = means["narrow"].to_numpy(), means["wide"].to_numpy()
    others = [np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1] for i in range(len(x))]
    (moved,) = [
        row
        for row in rows
        if (row["statistic"], row["example"], row["group"]) == ("pearson_leave_one_out", 9, "all")
    ]
    assert (moved["low"], moved["high"]) == pytest.approx((min(others), max(others)), abs=1e-6)
    most = np.abs(np.arctanh(others) - np.arctanh(expected)).argmax()
    name, draw = means.index[most]
    shares = dict(REMOVALS["removals"])[name]
    assert moved["named"] == f"{name} {shares[draw - len(shares)]:.0%}"
    figure, points = counterfactual_margins.counterfactual(margins, as_table(rows), STYLE, REMOVALS)
    told = figure.subfigs[0].axes[1].texts[0].get_text()
    assert f"(most: {moved['named']})" in told
    assert len(points) == 8
    assert "image 5: R² all" in figure.subfigs[0].axes[0].get_title()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of 30 digits, 5 test images, and scores of two models for them."""
    root = tmp_path_factory.mktemp("images")
    build_images(
        root / "corpus", "d", {"kind": "digits", "options": {}, "images": 90, "holdout": 0.3}
    )
    build_image_pool(root / "pool", root / "corpus", {"examples": 30, "balanced": False, "seed": 0})
    task = {"examples": 5, "target_examples": 0, "seed": 0}
    build_image_task(root / "task", root / "corpus", root / "pool/manifest.json", task)
    (root / "scores").mkdir()
    rng = np.random.default_rng(0)
    arrays.write(root / "scores/t.npy", rng.normal(size=(2, 5, 30)).astype(np.float32))
    arrays.write(root / "scores/residuals.npy", rng.random((2, 30)).astype(np.float32))
    return root


def test_the_most_helpful_images_come_first(images: Path) -> None:
    paths = images / "pool/manifest.json", images / "task/holdout/manifest.json"
    spec: dict[str, Any] = {"task": "t", "target": 3, "q": False}
    _, rows = influential_images.influence(*paths, {"s": [images / "scores"]}, STYLE, spec)
    scores = np.load(images / "scores/t.npy").mean(0)[3]
    shown = {
        side: [r["example"] for r in rows if r["side"] == side]
        for side in ("helpful", "detrimental")
    }
    assert shown["helpful"] == np.argsort(-scores)[:5].tolist()
    assert shown["detrimental"] == np.argsort(scores)[:5].tolist()
    spec["target"] = 7
    with pytest.raises(UserError, match="5 test images, and none numbered 7"):
        influential_images.influence(*paths, {"s": [images / "scores"]}, STYLE, spec)


def test_scores_of_ensembles_lie_side_by_side_and_q_weighs_them(images: Path) -> None:
    folder = images / "scores"
    each, residuals = np.load(folder / "t.npy"), np.load(folder / "residuals.npy")
    both = Scores.open([folder, folder], "t", False)
    assert len(both) == 4
    np.testing.assert_allclose(both.mean(), each.mean(0), atol=1e-6)
    weighed = Scores.open([folder], "t", True).mean()
    np.testing.assert_allclose(weighed, each.mean(0) * residuals.mean(0), rtol=1e-5, atol=1e-6)
