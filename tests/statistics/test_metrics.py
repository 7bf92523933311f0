"""Metrics of a task: their values by hand, their directions, the one that is foretold best."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from support.tidy_tables import rows, tables

from proxyscale.base import artifacts
from proxyscale.statistics.gathering import gathered
from proxyscale.statistics.metrics import HIGHER, Length, _tables, length_of, metric_statistics

N, EXAMPLES = 8, 5
SPEC = {"reference": "ref", "groups": {}, "confidence": 0.95}


@pytest.fixture(scope="module")
def study():
    """Five examples a run, of 1 to 5 tokens; the proxy knows the probability alone."""
    rng = np.random.default_rng(0)
    one = {s: {"t": np.zeros((N, 2))} for s in ("s", "ref")}
    _, runs = tables(one)
    parts, truth = [], rng.standard_normal(N)
    for run in runs.to_pylist():
        place = int(run["distribution"][1:])
        columns = {
            name: [run[name]] * EXAMPLES for name in ("scale", "distribution", "draw", "seed")
        }
        known = truth[place] if run["scale"] == "ref" else rng.standard_normal()
        columns |= {
            "task": ["t"] * EXAMPLES,
            "example": np.arange(EXAMPLES),
            "loss": 3 + 0.1 * known + 0.01 * rng.standard_normal(EXAMPLES),
            "tokens": np.arange(EXAMPLES) + 1,
            "correct": (rng.random(EXAMPLES) < 0.5).astype(float),
            "margin": known + 0.01 * rng.standard_normal(EXAMPLES),
            "probability": np.full(EXAMPLES, 0.5 - 0.1 * truth[place]),
            "lead": rng.standard_normal(EXAMPLES),
        }
        parts.append(artifacts.conform(pa.table(columns), "losses"))
    return pa.concat_tables(parts), runs


def test_metrics_are_those_of_the_examples_of_a_run(study):
    losses, _ = study
    found = {name: t.to_pandas() for name, t in _tables(gathered(losses), {"t": Length(30, 24)})}
    mine = losses.to_pandas().query("scale == 's' and distribution == 'd3' and seed == 1")
    bits = (mine["loss"] * mine["tokens"]).sum() / np.log(2)
    expected = {
        "loss": mine["loss"].mean(),
        "bits_per_token": bits / 15,
        "bits_per_byte": bits / 30,
        "bits_per_character": bits / 24,
        "accuracy": -mine["correct"].mean(),
        "lead": -mine["lead"].mean(),
        "margin": -mine["margin"].mean(),
        "probability": -mine["probability"].mean(),
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        row = found[name].query("scale == 's' and distribution == 'd3' and seed == 1").iloc[0]
        assert row["loss"] == pytest.approx(value, rel=1e-6), name
        assert row["better"] == ("higher" if name in HIGHER else "lower")


def test_the_metric_that_is_foretold_best_is_named(study):
    losses, runs = study
    found = metric_statistics(gathered(losses), runs, {"t": Length(30, 24)}, **SPEC)
    assert set(found["level"].to_pylist()) == {"metric"}
    best = rows(found, statistic="best_metric")
    assert [(row["named"], row["value"], row["proxy"]) for row in best] == [
        ("probability", 1.0, "s")
    ]
    mine = losses.to_pandas().groupby(["scale", "distribution"])["margin"].mean()
    row = rows(found, statistic="spearman", named="margin")[0]
    assert row["value"] == pytest.approx(stats.spearmanr(mine["s"], mine["ref"])[0])


def test_what_a_run_lacks_is_no_metric(study):
    losses, runs = study
    lacking = losses.set_column(
        losses.column_names.index("correct"),
        "correct",
        pa.array([None, *losses["correct"].to_pylist()[1:]], pa.float32()),
    )
    names = [name for name, _ in _tables(gathered(lacking), {})]
    assert names == ["loss", "bits_per_token", "lead", "margin", "probability"]
    bare, _ = tables({s: {"t": np.random.default_rng(1).random((N, 2))} for s in ("s", "ref")})
    assert len(metric_statistics(gathered(bare), runs, {}, **SPEC)) == 0


def test_the_length_of_a_task_is_that_of_its_right_answers(tmp_path):
    table = pa.table({"gold": [True, False, True], "bytes": [3, 50, 4], "characters": [2, 40, 4]})
    artifacts.write(tmp_path / "holdout.parquet", artifacts.conform(table, "task"), "task")
    assert length_of(tmp_path) == Length(7, 6)
