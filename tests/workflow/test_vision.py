"""A tiny study of image models from images to figures, and what an edit of it makes stale."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy import stats
from support.image_studies import image_study
from support.loaded_modules import verbs
from support.workflow_run import Workflow

from proxyscale.base.verbs import VERBS

FIGURES = ("lds_fig6", "influence_fig7", "counterfactual_fig14")  # one of each kind of input
TARGETS = [*(f"results/{name}.pdf" for name in FIGURES), "results/tables/tab15.csv"]
TARGETS += ["results/report.html"]
# which images influence another follows from scores alone
READ = {"image_statistics": 1, "figure": len(FIGURES) - 1, "report": 1}
WATCHED = {name for name, (verb, _) in VERBS.items() if "vision" in verb.__module__}
WATCHED |= {"figure", "report"}
READING = {"collect_ensembles": 1, **READ}


def made(folder: Path, watched: Collection[str] = ()) -> Workflow:
    """A study whose statistics and figures are made."""
    workflow = Workflow(folder, watched=watched)
    workflow.config = image_study()
    said = workflow.snakemake("--cores", "2", "--", *TARGETS)
    assert "Scores from narrow foretell wide on 6 subsets with LDS" in said
    return workflow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    return made(tmp_path_factory.mktemp("images"))


@pytest.fixture
def workflow(finished: Workflow) -> Workflow:
    finished.config = image_study()
    return finished


def test_everything_is_made(workflow: Workflow) -> None:
    results = workflow.folder / "results"
    for name in FIGURES:
        assert (results / f"{name}.pdf").stat().st_size > 3000
        assert len((results / f"{name}.csv").read_text().splitlines()) > 1
    page = (results / "report.html").read_text()
    assert re.findall(r'<a href="#([\w-]+)">', page) == re.findall(r'<section id="([\w-]+)">', page)
    assert {"attribution", "pictures", "costs"} < set(re.findall(r'<section id="([\w-]+)">', page))
    assert page.count('src="data:image/svg+xml;base64,') == 3
    assert "same-class" not in str(pq.read_table(results / "statistics.parquet")["group"].unique())
    assert "1382" in (results / "tables/tab15.csv").read_text()
    assert workflow.stale(*TARGETS) == Counter()


@pytest.mark.slow
def test_digests_cover_what_jobs_load(tmp_path: Path) -> None:
    assert verbs(made(tmp_path, WATCHED).folder) == WATCHED


def row(folder: Path, **values: str) -> dict[str, float]:
    """The one row of the statistics where columns have these values."""
    table = pq.read_table(folder / "results/statistics.parquet")
    for column, value in values.items():
        table = table.filter(pc.equal(table[column], value))
    (found,) = table.to_pylist()
    return found


def test_lds_is_what_the_artifacts_say(workflow: Workflow) -> None:
    results = workflow.folder / "results"
    scores = np.load(results / "scores/narrow/pool/0-0/digits.npy").mean(0)
    drawn = pq.read_table(results / "distributions/halves/0-0.parquet").to_pandas()
    losses = pq.read_table(results / "losses.parquet").to_pandas()
    truth = losses[(losses.scale == "wide") & (losses.distribution == "halves")]
    outputs = truth.groupby(["example", "draw"]).margin.mean()
    each = [
        stats.spearmanr(
            [scores[test, drawn.example[drawn.draw == draw]].sum() for draw in range(6)],
            [outputs[test, draw] for draw in range(6)],
        ).statistic
        for test in range(20)
    ]
    found = row(workflow.folder, statistic="lds", group="trak/4", proxy="narrow")
    assert found["value"] == pytest.approx(np.mean(each), abs=1e-6)
    assert found["n"] == 6
    assert found["compute_ratio"] > 1


def test_removals_leave_out_what_they_say(workflow: Workflow) -> None:
    results = workflow.folder / "results"
    scores = np.load(results / "scores/wide/pool/0-0/digits.npy").mean(0)
    drawn = pq.read_table(results / "distributions/helpful/0-0.parquet").to_pandas()
    for draw, (image, count) in enumerate([(0, 3), (0, 6), (3, 3), (3, 6)]):
        left = set(range(60)) - set(drawn.example[drawn.draw == draw])
        assert left == set(np.argsort(-scores[image])[:count])


def test_another_subset_retrains_nothing_else(workflow: Workflow) -> None:
    workflow.config["distributions"]["halves"]["draws"] += 1
    assert workflow.stale(*TARGETS) == Counter(
        subsets=1, train_ensemble=1, evaluate_ensemble=1, **READING
    )
    assert "ensemble=1-0" in str(workflow.stale_named("train_ensemble"))


def test_a_width_retrains_itself_alone(workflow: Workflow) -> None:
    workflow.config["scales"]["narrow"]["learning_rate"] = 0.05
    stale = workflow.stale(*TARGETS)
    assert stale["train_ensemble"] == stale["evaluate_ensemble"] == 4
    assert stale["score_ensemble"] == stale["datamodels"] == 1
    assert {"scale=narrow" in words for words in workflow.stale_named("train_ensemble")} == {True}


def test_reading_is_cheap_to_change(workflow: Workflow) -> None:
    workflow.config["attribution"]["resamples"] = 60
    assert workflow.stale(*TARGETS) == Counter(READ)
    workflow.config = image_study()
    workflow.config["figures"] = {"style": {"lds_fig6": {"width": 6.0}}}
    assert workflow.stale(*TARGETS) == Counter(figure=1, report=1)
