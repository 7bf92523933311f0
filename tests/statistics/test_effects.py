"""Whether selected distributions help: gains with their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from support.synthetic_study import SCALES, SIMILAR, synthetic

from proxyscale.base import artifacts
from proxyscale.statistics.effects import effects

SELECTED = {"dsdm": "squad_like", "dsir": "squad_like"}


def test_effects_have_the_noise_of_their_group():
    study = synthetic(seeds=3)
    given = {"selected": SELECTED, "baseline": "mix", "groups": {"similar": SIMILAR}}
    rows = effects(study["losses"], study["runs"], **given)
    assert [(r["distribution"], r["scale"]) for r in rows] == [
        (d, s) for d in SELECTED for s in SCALES
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


def test_without_groups_the_error_is_welchs_of_the_two():
    study = synthetic(seeds=4)
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
    study = synthetic(seeds=1 if shift is None else 2)
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
        [-(shift or -1.0)] * len(SCALES), abs=1e-5
    )


def test_without_a_second_run_there_is_no_interval():
    study = synthetic(seeds=1)
    rows = effects(study["losses"], study["runs"], selected=SELECTED, baseline="mix")
    assert all(np.isnan(row["low"]) and np.isnan(row["run_sd"]) for row in rows)
