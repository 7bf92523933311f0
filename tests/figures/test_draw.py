"""Figures of synthetic studies: the numbers they show, their looks, their files."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from scipy import stats
from support.drawn import make, open_figure
from support.paths import ROOT
from support.synthetic_study import (
    DISTRIBUTIONS,
    SCALES,
    SIMILAR,
    TASKS,
    Study,
    synthetic,
    with_besides,
    with_curves,
    with_laws,
)

from proxyscale.base.artifacts import write_csv
from proxyscale.base.errors import UserError
from proxyscale.base.tables import where
from proxyscale.figures import draw as draw_module
from proxyscale.figures.draw import draw, draw_all
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.layout import shorten, text_width, wrap
from proxyscale.figures.signed_r2 import bend, straighten
from proxyscale.figures.style import Style, marks


@pytest.fixture(scope="module")
def study() -> Study:
    return synthetic(falling="trivia_like")


def panels(figure: Figure) -> list[Any]:
    return figure.subfigs[0].axes


def test_correlation_shows_mean_losses_and_the_r2_that_follows(
    study: Study,
) -> None:
    _, rows = make("correlation_fig1", study, proxy="s")
    mine = [row for row in rows if row["task"] == "squad_like"]
    assert [row["distribution"] for row in mine] == list(DISTRIBUTIONS)
    losses = study["losses"].to_pandas().groupby(["scale", "task", "distribution"])["loss"].mean()
    x, y = (
        np.array([float(row[f"{side}_loss"]) for row in mine]) for side in ("proxy", "reference")
    )
    np.testing.assert_allclose(x, losses["s", "squad_like"][list(DISTRIBUTIONS)], rtol=1e-6)
    line = stats.linregress(x, y)
    assert mine[0]["value"] == pytest.approx(line.rvalue**2, abs=1e-9)
    assert mine[0]["slope"] == pytest.approx(line.slope)
    assert mine[0]["intercept"] == pytest.approx(line.intercept)
    assert {row["proxy_runs"] for row in mine} == {2}
    assert all(row["proxy_lowest"] < row["proxy_loss"] for row in mine)


def test_figure_1_enlarges_a_group_that_takes_little_of_a_panel(study: Study) -> None:
    figure, rows = make("correlation_fig1", study, proxy="s", groups={"similar": list(SIMILAR)})
    enlarged = 0
    for panel, task in zip(panels(figure), TASKS, strict=True):
        mine = [row for row in rows if row["task"] == task]
        close = [row for row in mine if row["distribution"] in SIMILAR]
        shares = [
            np.ptp([row[side] for row in close]) / np.ptp([row[side] for row in mine])
            for side in ("proxy_loss", "reference_loss")
        ]
        inside = [child for child in panel.child_axes if child.get_title()]
        assert len(inside) == (np.prod(shares) <= 0.12 and mine[0]["pearson"] > 0)
        for frame in inside:
            enlarged += 1
            drawn = {
                point
                for line in frame.lines
                if line.get_ls() == "None"
                for point in zip(*line.get_data(), strict=True)
            }
            assert drawn == {(row["proxy_loss"], row["reference_loss"]) for row in close}
            x, y = (np.array([row[f"{s}_loss"] for row in close]) for s in ("proxy", "reference"))
            r2 = stats.pearsonr(x, y).statistic ** 2
            assert mine[0]["group_r2"] == pytest.approx(r2)
            others = [np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1] for i in range(len(x))]
            ends = " to ".join(f"{r * abs(r):.2f}" for r in (min(others), max(others)))
            told, most = frame.get_title().rsplit("\n", 1)
            assert told == f"similar\nR² = {r2:.2f}\n{ends}"
            assert most.startswith("(most: ")
    assert 0 < enlarged < len(TASKS)


def test_figure_1_has_the_proxy_across_and_the_reference_upright(study: Study) -> None:
    figure, rows = make("correlation_fig1", study, proxy="s")
    for panel, task in zip(panels(figure), TASKS, strict=True):
        drawn = {
            point
            for line in panel.lines
            if line.get_ls() == "None"
            for point in zip(*line.get_data(), strict=True)
        }
        mine = [row for row in rows if row["task"] == task]
        assert drawn == {(row["proxy_loss"], row["reference_loss"]) for row in mine}
    assert "proxy" in figure.subfigs[0].get_supxlabel()
    assert "reference" in figure.subfigs[0].get_supylabel()


def test_a_negative_correlation_is_marked(study: Study) -> None:
    texts = [panel.texts[0].get_text() for panel in panels(open_figure("correlation_fig1", study))]
    falls = [task == "trivia_like" for task in TASKS]
    assert ["(inverted)" in text for text in texts] == falls
    assert [text.startswith("R² = −") for text in texts] == falls
    for name in ("compute_fig2", "correlation_fig1"):
        signs = {row["task"]: row["pearson"] < 0 for row in make(name, study)[1]}
        assert [signs[task] for task in TASKS] == falls
    for row in make("compute_fig2", study)[1]:
        assert row["signed"] == pytest.approx(np.sign(row["pearson"]) * row["value"])
        assert row["signed_low"] <= row["signed"] <= row["signed_high"]


def test_figure_1_names_what_moves_r2_most(study: Study) -> None:
    """R² of all others, for each distribution left out, against numpy's own."""
    _, rows = make("correlation_fig1", study, proxy="s")
    for task in TASKS:
        mine = [row for row in rows if row["task"] == task]
        x, y = (np.array([row[f"{s}_loss"] for row in mine]) for s in ("proxy", "reference"))
        others = [np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1] for i in range(len(x))]
        assert mine[0]["least_without_one"] == pytest.approx(min(others) * abs(min(others)))
        assert mine[0]["most_without_one"] == pytest.approx(max(others) * abs(max(others)))
        moved = np.abs(np.arctanh(others) - np.arctanh(np.corrcoef(x, y)[0, 1]))
        assert mine[0]["most_influential"] == mine[int(moved.argmax())]["distribution"]


@pytest.mark.parametrize("name", ["compute_fig2", "accuracy_fig3"])
def test_every_r2_has_what_moves_it_most_beside_it(study: Study, name: str) -> None:
    means = study["losses"].to_pandas().groupby(["task", "scale", "distribution"])["loss"].mean()
    _, rows = make(name, study)
    for row in rows:
        names = SIMILAR if row.get("group") == "similar" else DISTRIBUTIONS
        x, y = (
            means[row["task"], scale][list(names)].to_numpy() for scale in (row["proxy"], "ref")
        )
        others = [np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1] for i in range(len(x))]
        ends = [row["least_without_one"], row["most_without_one"]]
        expected = [r * abs(r) for r in (min(others), max(others))]
        assert ends == pytest.approx(expected, abs=1e-6)
        moved = np.abs(np.arctanh(others) - np.arctanh(np.corrcoef(x, y)[0, 1]))
        assert row["most_influential"] == names[int(moved.argmax())]


@pytest.mark.parametrize("name", ["correlation_fig1", "compute_fig2"])
def test_the_table_of_a_figure_has_every_column_where_the_first_task_is_flat(
    name: str, tmp_path: Path
) -> None:
    small = {"s": 20_000, "ref": 300_000}
    study = synthetic(scales=small, tasks=TASKS[:2], examples=2, flat=TASKS[0])
    _, rows = make(name, study)
    write_csv(tmp_path / "rows.csv", rows)
    flat, other = (
        {row["most_influential"] for row in rows if row["task"] == task} for task in TASKS[:2]
    )
    assert flat == {None}
    assert other <= {*DISTRIBUTIONS}


def test_signed_r2_bends_and_straightens() -> None:
    values = np.linspace(-0.99, 0.99, 41)
    np.testing.assert_allclose(straighten(bend(values)), values, atol=1e-12)
    assert np.all(np.diff(bend(values)) > 0)
    assert np.isfinite(bend(np.array([-1.0, 1.0]))).all()


def test_proxies_default_to_the_papers_ratio_and_to_the_cheapest(study: Study) -> None:
    tables_ = {key: study[key] for key in ("statistics", "losses", "runs")}
    readout = FigureData(Style(), tables_)
    assert readout.proxies == list(SCALES)[:-1]
    assert (readout.proxy, readout.smallest) == ("xxs", "xxs")  # 1/249; xs is 1/106
    assert FigureData(Style(), tables_ | {"proxy": "m"}).proxy == "m"


def test_histogram_counts_every_example_once(study: Study) -> None:
    figure, rows = make("histogram_fig5", study, proxy="s")
    table = where(study["statistics"], statistic="r2", level="example", proxy="s")
    for task in TASKS:
        mine = [row for row in rows if row["task"] == task]
        values, similar = (
            where(table, task=task, group=group)["value"].to_numpy() for group in ("all", "similar")
        )
        assert mine[0]["median_similar"] == pytest.approx(np.median(similar))
        assert sum(row["share"] for row in mine) == pytest.approx(1)
        assert mine[0]["median"] == pytest.approx(np.median(values))
        top = np.mean(values >= 0.95)
        assert mine[-1]["share"] == pytest.approx(top)
    assert panels(figure)[0].yaxis.get_major_formatter()(0.25) == "25%"
    negative = {row["task"] for row in rows if row["share_negative"] > 0.2}
    assert negative == {"trivia_like"}
    for panel, task in zip(panels(figure), TASKS, strict=True):
        falls = sum(row["share_negative"] for row in rows if row["task"] == task)
        told, *more = panel.texts[0].get_text().splitlines()
        median = next(row["median_similar"] for row in rows if row["task"] == task)
        assert f"similar {median:.2f}" in more
        assert told.endswith(f" ({falls:.0%} r < 0)") == (falls > 0)


def test_variants_of_a_scale_stand_beside_the_line() -> None:
    slow = {"xs": 20_000, "xs_slow": 20_000, "s": 60_000, "ref": 300_000}
    study = synthetic(scales=slow, tasks=TASKS[:2], examples=2)
    figure, rows = make("compute_fig2", study)
    assert {row["proxy"]: row["variant_of"] for row in rows} == {
        **{"xs": "", "xs_slow": "xs", "s": ""}
    }
    lines = [line for line in panels(figure)[0].lines if len(line.get_xdata()) > 1]
    through = [line for line in lines if line.get_linewidth() == 1.0]
    assert len(through) == 2  # one for each group
    crosses = [line for line in panels(figure)[0].lines if line.get_marker() == "x"]
    assert len(crosses) == 2


def test_compute_has_a_line_per_task_in_every_group(study: Study) -> None:
    _, rows = make("compute_fig2", study)
    keys = {(row["group"], row["task"], row["proxy"]) for row in rows}
    assert keys == {(g, t, p) for g in ("all", "similar") for t in TASKS for p in list(SCALES)[:-1]}
    relative = {row["proxy"]: row["relative_compute"] for row in rows}
    assert relative["xxs"] == pytest.approx((SCALES["xxs"] / SCALES["ref"]) ** 2)
    assert {row["n"] for row in rows if row["group"] == "similar"} == {6}


def test_compute_shows_what_trains_nothing_and_checkpoints_apart(study: Study) -> None:
    figure, rows = make("compute_fig2", with_besides(study))
    kinds = {row["proxy"]: row["kind"] for row in rows}
    assert kinds == dict.fromkeys(list(SCALES)[:-1], "scale") | {
        "ngram": "rival",
        "overlap": "rival",
        "s@0.25": "checkpoint",
        "s@0.5": "checkpoint",
    }
    by = {(row["task"], row["proxy"]): row for row in rows if row["group"] == "all"}
    for task in TASKS:
        scale, early = by[task, "s"], by[task, "s@0.25"]
        assert early["value"] == scale["value"]
        quarter = float(scale["relative_compute"]) / 4
        assert float(early["relative_compute"]) == pytest.approx(quarter)
    groups = len({row["group"] for row in rows})
    trained = [float(row["relative_compute"]) for row in rows if row["kind"] == "scale"]
    for ax, task in zip(panels(figure), TASKS, strict=True):
        stars = [line for line in ax.lines if line.get_marker() == "*"]
        dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
        assert (len(stars), len(dotted)) == (2 * groups, groups)
        # rivals stand left of all that is trained, below 0 where r < 0; a line ends at its scale
        assert max(line.get_xdata()[0] for line in stars) < min(trained) / 1.6
        mine = [row for row in rows if (row["task"], row["kind"]) == (task, "rival")]
        falling = [row for row in mine if float(row["pearson"]) < 0]
        assert sum(line.get_ydata()[0] < 0 for line in stars) == len(falling) >= 1
        assert [len(line.get_xdata()) for line in dotted] == [3] * groups
    names = {text.get_text() for text in figure.subfigs[1].legends[0].get_texts()}
    assert {"trains nothing", "checkpoints, not annealed"} <= names
    _, plain = make("compute_fig2", study)
    assert {row["kind"] for row in plain} == {"scale"}


def test_proxies_at_chance_are_marked(study: Study) -> None:
    _, rows = make("accuracy_fig3", study)
    assert {row["task"] for row in rows} == {"hellaswag_like"}
    assert {row["proxy"]: row["at_chance"] for row in rows}["xxs"]
    correct = study["losses"].filter(pc.equal(study["losses"]["scale"], "m"))["correct"]
    accuracy = pc.mean(correct.cast(pa.float64())).as_py()
    measured = {row["proxy"]: row["above_chance"] for row in rows}["m"]
    assert measured == pytest.approx(accuracy - 0.25)


def test_the_frontier_never_falls_and_extrapolations_can_be_on_it(
    study: Study,
) -> None:
    _, rows = make("frontier", with_laws(study))
    means = [("mean of the tasks", group) for group in ("all", "similar")]
    places = [*means, *((task, "all") for task in TASKS)]
    assert list(dict.fromkeys((row["task"], row["group"]) for row in rows)) == places
    for place in places:
        mine = [row for row in rows if (row["task"], row["group"]) == place]
        compute = [row["relative_compute"] for row in mine]
        assert compute == sorted(compute)
        on = [row["value"] for row in mine if row["frontier"]]
        assert on == sorted(set(on))
        assert max(on) == max(row["value"] for row in mine)
    assert {row["kind"] for row in rows} == {"single scale", "law2", "law3"}
    mean, *each = panels(open_figure("frontier", with_laws(study)))
    assert mean.get_position().width > 2 * max(panel.get_position().width for panel in each)
    assert len({panel.get_ylim() for panel in [mean, *each]}) == 1
    assert any(row["kind"] == "law2" and row["frontier"] for row in rows)


def test_curves_average_runs_and_steps() -> None:
    study = with_curves(synthetic(tasks=TASKS[:1], examples=3))
    _, rows = make("curves_fig21", study)
    mine = [row for row in rows if (row["scale"], row["distribution"]) == ("ref", "docs")]
    tokens = [row["tokens"] for row in mine]
    assert len(mine) <= 60
    assert tokens == sorted(tokens)
    curves = study["curves"].to_pandas().query("scale == 'ref' and distribution == 'docs'")
    assert mine[0]["loss"] == pytest.approx(curves.query("tokens == 512")["loss"].mean())


HARD = {
    "no variance, one seed": {"flat": "docs", "seeds": 1, "tasks": TASKS[:4]},
    "two distributions": {"distributions": ("a", "b"), "tasks": TASKS[:2]},
    "one task": {"tasks": TASKS[:1]},
    "long names": {
        "distributions": tuple(f"a distribution with a long name {'x' * i}" for i in range(20)),
        "tasks": ("a_long_name_of_a_task_in_words", "withoutanybreak" * 4, "$x$ {y}_^2", "t"),
        "scales": {f"a-long-name-of-{name}": size for name, size in SCALES.items()},
        "examples": 3,
    },
    "many": {
        "distributions": ("mix", "docs", *(f"dirichlet-{i:02d}" for i in range(40))),
        "tasks": tuple(f"task_{i}" for i in range(7)),
        "scales": {name: SCALES[name] for name in ("xs", "m", "ref")},
        "examples": 3,
    },
}


@pytest.mark.parametrize("case", HARD)
def test_no_text_overlaps_or_leaves_the_page(case: str) -> None:
    study = synthetic(**HARD[case])
    for name in ("correlation_fig1", "compute_fig2"):
        figure = open_figure(name, study)
        page = figure.bbox
        boxes = _texts(figure)
        for text, box in boxes:
            inside = page.padded(1.0)
            assert inside.contains(box.x0, box.y0), (name, text)
            assert inside.contains(box.x1, box.y1), (name, text)
        for i, (text, box) in enumerate(boxes):
            for other, second in boxes[:i]:
                shared = Bbox.intersection(box, second)
                apart = shared is None or min(shared.width, shared.height) < 0.5
                assert apart, (name, text, other)


def _texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Titles, labels, legend and notes with their places."""
    body, below = figure.subfigs
    texts = [body._suptitle, body._supxlabel, body._supylabel, *below.legends[0].get_texts()]
    texts += [text for panel in panels(figure) for text in (panel.title, *panel.texts)]
    renderer = figure.canvas.get_renderer()
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts]


@pytest.mark.parametrize("name", ["correlation_fig1", "compute_fig2", "frontier"])
def test_a_task_without_variance_is_not_available(name: str) -> None:
    study = synthetic(flat="docs", seeds=1, tasks=TASKS[:2], examples=3)
    _, rows = make(name, study)
    assert all(np.isnan(row["value"]) for row in rows if row["task"] == "docs")
    assert all(row["value"] > 0 for row in rows if row["task"] == "mix")


def test_the_same_distribution_looks_the_same_everywhere(study: Study) -> None:
    legends = []
    for name in ("correlation_fig1", "curves_fig21"):
        legend = open_figure(name, with_curves(study)).subfigs[1].legends[0]
        looks = {
            line.get_label(): (line.get_color(), line.get_marker()) for line in legend.get_lines()
        }
        legends.append(looks)
    assert legends[0] == legends[1]
    assert set(legends[0]) == set(DISTRIBUTIONS)


@given(st.integers(1, 60), st.booleans())
def test_marks_differ_until_they_are_shared_by_a_family(count: int, numbered: bool) -> None:
    names = [f"mixture-{i}" if numbered else f"name {'x' * i}" for i in range(count)]
    looks = marks(names, Style())
    shapes = {(mark.color, mark.marker, mark.filled) for mark in looks.values()}
    assert len(shapes) == (count if count <= 20 else 1)
    assert len({mark.label for mark in looks.values()}) == len(shapes)


def test_figures_of_the_smallest_proxy_are_drawn_once_where_they_equal_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("correlation_fig1", "correlation_fig12")
    study = synthetic(tasks=TASKS[:1], examples=3)
    smallest = min(study["runs"].to_pylist(), key=lambda run: run["flops"])["scale"]
    other = next(name for name in study["runs"]["scale"].unique().to_pylist() if name != smallest)
    for proxy, times in ((smallest, 1), (other, 2)):
        drawn = []
        plot = draw_module.make
        monkeypatch.setattr(draw_module, "make", lambda *g: drawn.append(g[0]) or plot(*g))  # noqa: B023
        draw_all({name: str(tmp_path / name) for name in names}, **study, proxy=proxy)
        monkeypatch.undo()
        assert len(drawn) == times
        for suffix in (".pdf", ".svg", ".csv"):
            draw(names[1], tmp_path / "alone", **study, proxy=proxy)
            own = (tmp_path / "alone").with_suffix(suffix).read_bytes()
            assert (tmp_path / names[1]).with_suffix(suffix).read_bytes() == own


@settings(max_examples=30)
@given(st.text("ab_-/ é", max_size=40), st.floats(20, 200))
def test_wrapped_and_shortened_text_fits(text: str, points: float) -> None:
    assert all(text_width(line, 8.0) <= points for line in wrap(text, points, 8.0).split("\n"))
    assert text_width(shorten(text, points, 8.0), 8.0) <= points
    if text_width(text.strip(), 8.0) <= points:
        assert wrap(text.strip(), points, 8.0) == text.strip()


def test_files_are_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from support.synthetic_study import TASKS, synthetic;"
        "from proxyscale.figures import registered;"
        "from proxyscale.figures.draw import draw;"
        "draw('histogram_fig5', sys.argv[2], **synthetic(tasks=TASKS[:1], examples=3));"
        "assert 'torch' not in sys.modules, 'figures must not pay for torch'"
    )
    command = [sys.executable, "-c", code, str(ROOT / "tests"), str(tmp_path / "there")]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "1"}
    subprocess.run(command, check=True, env=environment)
    draw("histogram_fig5", tmp_path / "here", **synthetic(tasks=TASKS[:1], examples=3))
    for suffix in (".pdf", ".svg", ".csv"):
        here, there = (tmp_path / f"{stem}{suffix}" for stem in ("here", "there"))
        assert here.read_bytes() == there.read_bytes(), suffix
    with (tmp_path / "here.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    _, rows = make("histogram_fig5", synthetic(tasks=TASKS[:1], examples=3))
    assert [float(row["share"]) for row in written] == [row["share"] for row in rows]
    assert {row["ceiling"] for row in written} == {""}


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("correlation_fig2", {}, "correlation_fig1"),
        ("correlation_fig1", {"proxy": "xsx"}, "did you mean 'xs'"),
        ("correlation_fig1", {"reference": "xs"}, "not the reference"),
        ("correlation_fig1", {"style": {"widht": 3}}, "did you mean 'width'"),
        ("correlation_fig1", {"style": {"tasks": ["mixx"]}}, "did you mean 'mix'"),
    ],
)
def test_mistakes_are_told(
    study: Study, name: str, change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        draw(name, tmp_path / "figure", **(study | change))
    assert not list(tmp_path.iterdir())


def test_averaged_losses_have_no_histogram(tmp_path: Path) -> None:
    study = synthetic(tasks=TASKS[:1], examples=1)
    with pytest.raises(UserError, match="per-example"):
        draw("histogram_fig5", tmp_path / "figure", **study)
    with pytest.raises(UserError, match="correct"):
        draw("accuracy_fig3", tmp_path / "figure", **study)
