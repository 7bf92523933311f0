"""Whether selected distributions help: gains with their intervals."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from support.synthetic_study import SCALES, SIMILAR, synthetic

from proxyscale.base import artifacts
from proxyscale.statistics.effects import effects

SELECTED = {"dsdm": "squad_like", "dsir": "squad_like"}
study_of = functools.cache(synthetic)  # tables, which nothing changes


def test_effects_have_the_noise_of_their_group():
    study = study_of(seeds=3)
    given = {"selected": SELECTED, "baseline": "mix", "groups": {"similar": SIMILAR}}
    rows = effects(study["losses"], study["runs"], **given)
    assert [(r["group"], r["distribution"], r["scale"]) for r in rows] == [
        (g, d, s) for g in ("all", "similar") for d in SELECTED for s in SCALES
    ]
    losses = study["losses"].to_pandas()
    task = losses[(losses.task == "squad_like") & (losses.scale == "m")]
    runs = task.groupby(["distribution", "seed"])["loss"].mean().unstack()
    row = next(r for r in rows if (r["distribution"], r["scale"]) == ("dsir", "m"))
    assert row["gain"] == pytest.approx(runs.loc["mix"].mean() - runs.loc["dsir"].mean(), abs=1e-6)
    variance = runs.loc[list(SIMILAR)].var(axis=1, ddof=1).mean()
    half = stats.t.ppf(0.975, 2 * len(SIMILAR)) * np.sqrt(variance * 2 / 3)
    assert row["high"] - row["gain"] == pytest.approx(half, rel=1e-4)
    assert row["run_sd"] == pytest.approx(np.sqrt(variance), rel=1e-4)
    assert {r["verdict"] for r in rows} <= {"helps", "harms", "undecided"}


def test_every_group_has_effects_of_its_own_distributions_and_noise():
    study = study_of(seeds=3)
    groups = {"similar": SIMILAR, "pair": ["dsir", "headers"], "far": ["stdlib", "tests"]}
    given = {"selected": SELECTED, "baseline": "mix", "groups": groups}
    rows = effects(study["losses"], study["runs"], **given)
    held = {g: {r["distribution"] for r in rows if r["group"] == g} for g in ("all", *groups)}
    assert held == {"all": {*SELECTED}, "similar": {*SELECTED}, "pair": {"dsir"}, "far": set()}
    losses = study["losses"].to_pandas().query("task == 'squad_like' and scale == 'm'")
    runs = losses.groupby(["distribution", "seed"])["loss"].mean().unstack()
    own, others = ["dsir", "headers"], [name for name in SIMILAR if name != "dsir"]
    a, b = (runs.loc[names].var(axis=1, ddof=1).mean() / 3 for names in (own, others))
    row = next(r for r in rows if (r["group"], r["scale"]) == ("pair", "m"))
    assert row["run_sd"] == pytest.approx(np.sqrt(3 * a), rel=1e-4)
    # the baseline keeps the noise of its own group: Welch's error of the two
    degrees = (a + b) ** 2 / (a**2 / (2 * len(own)) + b**2 / (2 * len(others)))
    half = stats.t.ppf(0.975, degrees) * np.sqrt(a + b)
    assert row["high"] - row["gain"] == pytest.approx(half, rel=1e-4)


def test_without_groups_the_error_is_welchs_of_the_two():
    study = study_of(seeds=4)
    rows = effects(study["losses"], study["runs"], selected=SELECTED, baseline="mix")
    losses = study["losses"].to_pandas().query("task == 'squad_like'")
    runs = losses.groupby(["scale", "distribution", "seed"])["loss"].mean().unstack()
    assert len(rows) == len(SELECTED) * len(SCALES)
    for row in rows:
        of = (runs.loc[row["scale"], name] for name in ("mix", row["distribution"]))
        expected = stats.ttest_ind(*of, equal_var=False).confidence_interval()
        assert (row["low"], row["high"]) == pytest.approx(tuple(expected), rel=1e-3)


@pytest.mark.parametrize(
    ("shift", "verdict"), [(-1.0, "helps"), (1.0, "harms"), (None, "undecided")]
)
def test_the_verdict_says_what_the_interval_leaves_out(shift, verdict):
    study = study_of(seeds=1 if shift is None else 2)
    losses: pd.DataFrame = study["losses"].to_pandas()
    mix = losses[losses.distribution == "mix"].copy()
    moved = mix.assign(distribution="dsdm")
    moved["loss"] += shift or -1.0
    kept = losses[losses.distribution != "dsdm"]
    table = pa.Table.from_pandas(pd.concat([kept, moved]), artifacts.SCHEMAS["losses"])
    table = table.replace_schema_metadata(None)
    given = {"baseline": "mix", "groups": {"similar": SIMILAR}}
    rows = effects(table, study["runs"], selected={"dsdm": "docs"}, **given)
    assert {row["verdict"] for row in rows} == {verdict}
    assert [row["gain"] for row in rows] == pytest.approx(
        [-(shift or -1.0)] * 2 * len(SCALES), abs=1e-5
    )


def test_without_a_second_run_there_is_no_interval():
    study = study_of(seeds=1)
    rows = effects(study["losses"], study["runs"], selected=SELECTED, baseline="mix")
    assert all(np.isnan(row["low"]) and np.isnan(row["run_sd"]) for row in rows)
