"""Selecting data through proxies: what a section stands for, what is gained, the figure of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from support.loaded_modules import verbs
from support.workflow_run import Workflow

from proxyscale import registry
from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.figures.draw import draw
from proxyscale.figures.figure_data import FigureData
from proxyscale.figures.style import RC, Style
from proxyscale.statistics.selection_gains import gains
from proxyscale.study.language_runs import Run
from proxyscale.study.language_study import LanguageStudy
from proxyscale.study.proxy_selection import SUBSETS

SECTION = {
    "tasks": ["t"],
    "proxies": ["small", "large"],
    "reference": "large",
    "candidates": 40,
    "fractions": [0.25, 0.5],
    "epochs": 3,
    "models": 2,
    "subset": 30,
    "seeds": 2,
}
TASKS = ("squad", "other")


@pytest.fixture
def study(minimal: dict[str, Any]) -> LanguageStudy:
    """The minimal study with a section on top."""
    return LanguageStudy.load(minimal | {"proxy_selection": SECTION})


def test_a_section_stands_for_distributions_and_runs(study: LanguageStudy) -> None:
    for share, size in (("25pc", 10), ("50pc", 20)):
        assert study.config.distributions[f"t-by-small-{share}"].size == size
        runs = [run for run in study.selection_runs if run.distribution.endswith(share)]
        assert len(runs) == 5 * 2  # random, two proxies, dsir, classifier; two seeds
    assert Run("large", "random-25pc", 1, 1) in study.selection_runs
    assert Run("large", "t-by-small-25pc", 0, 1) in study.selection_runs
    assert {run for run in study.scoring_runs if run.scale == "small"} == {
        Run("small", SUBSETS, draw, 0) for draw in range(2)
    }
    assert not set(study.selection_runs) & set(study.runs)
    assert "selection_fig8" in study.figures


def test_epochs_decide_the_budget_of_a_selection(study: LanguageStudy) -> None:
    length, batch = study.config.pool.length, study.config.training.batch_tokens
    expected = round(3 * 20 * length / batch) * batch
    assert study.tokens("large", "t-by-small-50pc") == expected
    assert study.tokens("large", "mix") == study.scales["large"].tokens


def test_a_proxys_compute_is_relative_to_the_reference_as_a_proxy(study: LanguageStudy) -> None:
    small, large = (study.scales[name].flops for name in ("small", "large"))
    told = study.words("gains")["relative_compute"]
    assert told == {"small": pytest.approx(small / large), "large": 1.0}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tasks": ["tt"]}, "no task is named 'tt'"),
        ({"proxies": ["small", "huge"]}, "no scale is named 'huge'"),
        ({"reference": "huge"}, "no scale is named 'huge'"),
        ({"proxies": ["small", "small"]}, "a name stands twice"),
        ({"fractions": [0.001]}, "of 40 candidates is none"),
        ({"fractions": [1.5]}, "less than 1"),
        ({"seeds": 1}, "greater than or equal to 2"),
        ({"models": 0}, "greater than 0"),
    ],
)
def test_a_wrong_section_is_told(
    minimal: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        LanguageStudy.load(minimal | {"proxy_selection": SECTION | change})


def test_a_task_without_target_examples_is_told(minimal: dict[str, Any]) -> None:
    minimal["tasks"]["t"]["target_examples"] = 0
    with pytest.raises(UserError, match="no target examples"):
        LanguageStudy.load(minimal | {"proxy_selection": SECTION})


def test_a_scale_can_be_left_out_of_the_grid(minimal: dict[str, Any]) -> None:
    minimal["scales"]["tiny"] = {"width": 4, "layers": 1, "grid": False}
    study = LanguageStudy.load(
        minimal | {"proxy_selection": SECTION | {"proxies": ["tiny", "large"]}}
    )
    assert "tiny" not in study.proxies
    assert {run.distribution for run in study.trained if run.scale == "tiny"} == {SUBSETS}
    minimal["scales"]["large"]["grid"] = False
    with pytest.raises(UserError, match="the reference is left out of the grid"):
        LanguageStudy.load(minimal)


def write(folder: Path, spec: dict[str, Any], rng: np.random.Generator) -> None:
    """Distributions and scores of the selections, below a results folder."""
    for selected in spec["selected"]:
        chosen = rng.choice(40, 10, replace=False)
        columns = {"draw": np.zeros(10), "example": np.sort(chosen), "score": np.zeros(10)}
        path = folder / "distributions" / f"{selected['name']}.parquet"
        artifacts.write(path, pa.table(columns), "distribution")
    for path in spec["scores"].values():
        columns = {"example": rng.permutation(40), "score": rng.normal(size=40)}
        artifacts.write(folder / path, pa.table(columns), "score")
    choices = [
        {
            "example": e,
            "choice": c,
            "gold": not c,
            "scored_from": 1,
            "tokens": [1, 2],
            "prompt": "p",
            "continuation": f"{e} {c}",
        }
        for e in range(8)
        for c in range(4)
    ]
    asked = artifacts.conform(pa.Table.from_pylist(choices), "task")
    artifacts.write(folder / "tasks/squad/holdout.parquet", asked, "task")


def made(tmp_path: Path) -> tuple[list[dict[str, Any]], dict[str, Any], pa.Table]:
    """Gains of a made-up experiment with three seeds; its spec; its losses."""
    rng = np.random.default_rng(0)
    names = {"random": None, "a": "small", "b": "large", "d": None, "c": None}
    methods = ("random", "dsdm", "dsdm", "dsir", "classifier")
    selected = [
        {
            "name": name,
            "task": None if name == "random" else "squad",
            "method": method,
            "proxy": proxy,
            "fraction": 0.25,
        }
        for (name, proxy), method in zip(names.items(), methods, strict=True)
    ]
    spec = {
        "selected": selected,
        "reference": "large",
        "relative_compute": {"small": 0.1, "large": 1.0},
        "scores": {"a": "scores/small.parquet", "b": "scores/large.parquet"},
        "confidence": 0.95,
    }
    write(tmp_path, spec, rng)
    rows, runs = [], []
    for place, name in enumerate(names):
        for seed in range(3):
            key = {"scale": "large", "distribution": name, "draw": 0, "seed": seed}
            runs.append(key | {"role": "selection", "flops": 10.0, "epochs": 2.0})
            rows += [
                key
                | {
                    "task": task,
                    "example": example,
                    "loss": 3 + place + rng.normal(),
                    "correct": bool(rng.integers(2)) if task == "squad" else None,
                }
                for task in TASKS
                for example in range(8)
            ]
    losses = artifacts.conform(pa.Table.from_pylist(rows), "losses")
    table = artifacts.conform(pa.Table.from_pylist(runs), "runs")
    return gains(losses, table, spec, tmp_path), spec, losses


def test_gains_are_differences_of_means_with_a_pooled_interval(tmp_path: Path) -> None:
    rows, _, losses = made(tmp_path)
    frame = losses.to_pandas()
    frame = frame[frame.task == "squad"]
    runs = frame.groupby(["distribution", "seed"]).loss.mean().unstack()
    row = next(r for r in rows if r["proxy"] == "small" and r["measured_on"] == "squad")
    assert row["gain"] == pytest.approx(runs.loc["random"].mean() - runs.loc["a"].mean())
    sd = np.sqrt(runs.var(axis=1, ddof=1).mean())
    assert row["loss_sd"] == pytest.approx(sd)
    reach = stats.t.ppf(0.975, 10) * sd * np.sqrt(2 / 3)
    assert row["gain_high"] - row["gain"] == pytest.approx(reach)
    accuracy = frame[frame.distribution == "a"].correct.astype(float).mean()
    assert row["accuracy"] == pytest.approx(accuracy)
    assert row["chance"] == 0.25
    assert all(r["chance"] is None for r in rows if r["measured_on"] != "squad")
    assert row["relative_compute"] == pytest.approx(0.1)


def test_a_selection_is_held_against_the_references_own(tmp_path: Path) -> None:
    rows, spec, _ = made(tmp_path)
    found = {row["proxy"]: row for row in rows if row["proxy"] and row["measured_on"] == "squad"}
    assert found["large"]["overlap_with_reference"] == 1
    assert found["large"]["scores_spearman"] == pytest.approx(1)
    chosen = [
        set(
            artifacts.read(tmp_path / f"distributions/{n}.parquet", "distribution")[
                "example"
            ].to_pylist()
        )
        for n in "ab"
    ]
    assert found["small"]["overlap_with_reference"] == len(chosen[0] & chosen[1]) / 10
    scores = [
        artifacts.read(tmp_path / path, "score").to_pandas().set_index("example").score
        for path in spec["scores"].values()
    ]
    expected = stats.spearmanr(scores[0].sort_index(), scores[1].sort_index())[0]
    assert found["small"]["scores_spearman"] == pytest.approx(expected)


def test_the_figure_and_its_numbers(tmp_path: Path) -> None:
    rows, _, _ = made(tmp_path)
    artifacts.write_csv(tmp_path / "gains.csv", rows)
    again = artifacts.read_csv(tmp_path / "gains.csv")
    assert again == [{key: pytest.approx(v) for key, v in row.items()} for row in rows]
    style = {"labels": {"squad": "SQuAD"}}
    given: dict[str, Any] = {"gains": again, "trained": "large", "distributions": ["x", "dsdm"]}
    draw("selection_fig8", tmp_path / "selection_fig8", **given, style=style)
    assert artifacts.read_csv(tmp_path / "selection_fig8.csv") == again
    assert (tmp_path / "selection_fig8.pdf").stat().st_size > 5000


def test_methods_and_tasks_look_like_their_namesakes(tmp_path: Path) -> None:
    """Of distributions of the other figures; what has none has a look of its own."""
    rows, _, _ = made(tmp_path)
    named = [*(f"x{i}" for i in range(4)), "squad", "dsdm"]
    data = FigureData(Style(), {"gains": rows, "trained": "large", "distributions": named})
    entry = registry.figure["selection_fig8"]
    with mpl.rc_context(RC):
        figure, _ = entry.function(data)
    (legend,) = figure.subfigs[1].legends
    shown = dict(
        zip((t.get_text() for t in legend.get_texts()), legend.legend_handles, strict=True)
    )
    own = data.marks["squad"]
    look = (shown["squad"].get_color(), shown["squad"].get_marker())
    assert look == (own.color, own.marker)
    shapes = {name: handle.get_marker() for name, handle in shown.items() if "proxy" in name}
    assert shapes.pop("DsDm, through the proxy") == data.marks["dsdm"].marker
    assert data.marks["dsdm"].marker not in shapes.values()
    drawn = {line.get_color() for line in figure.subfigs[0].axes[-1].lines}
    others = {row["measured_on"] for row in rows} - {"squad"}
    assert {shown[name].get_color() for name in others} <= drawn


def small(workflow: Workflow) -> None:
    """One task, two proxies, two seeds."""
    workflow.config["attribution"] = {"dimension": 32}
    workflow.config["proxy_selection"] = {
        **SECTION,
        "tasks": ["last"],
        "proxies": ["xs", "s"],
        "reference": "s",
        "fractions": [0.5],
    }


def test_figure_1_does_not_wait_for_selections(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path)
    small(workflow)
    first = workflow.stale("results/correlation_fig1.pdf")
    everything = workflow.stale()
    assert first["train"] == 9
    assert everything["train"] == 9 + 2 * 2 + 5 * 2
    assert everything["features"] == 4
    assert not Counter({"gains": 1, "selection_collect": 1}) - everything


RARE = {"features", "score", "compare_scores", "mixtures", "effects", "gains", "gains_figure"}


@pytest.mark.slow
def test_a_study_with_selections_runs_to_its_end(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, watched=RARE)
    small(workflow)
    workflow.config["attribution"]["compare"] = {"scored_on": "a", "tasks": ["last"], "sample": 100}
    weights = {"method": "mixture", "weights": {"a": 1, "b": 2}}
    workflow.config["distributions"] |= {"chosen": {"method": "dsir", "task": "last"}, "b": weights}
    workflow.run()
    assert verbs(tmp_path) == RARE
    rows = artifacts.read_csv(tmp_path / "results/tables/selection.csv")
    assert {row["measured_on"] for row in rows} == {"text", "last"}
    assert all(row["seeds"] == 2 for row in rows)
    assert all(row["epochs"] == pytest.approx(3, rel=0.1) for row in rows)
    assert workflow.stale() == Counter()
