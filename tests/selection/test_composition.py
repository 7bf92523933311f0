"""What selected distributions are made of, and whether they help."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from support.language_runs import write_pool
from support.synthetic_study import SCALES, SIMILAR, synthetic

from proxyscale.base import artifacts
from proxyscale.data.pool import Pool
from proxyscale.selection.composition import composition, effects

SELECTED = {"dsdm": "squad_like", "dsir": "squad_like"}


def write(path, draws):
    parts = [
        pa.table({"draw": [draw] * len(ids), "example": ids, "score": [0.0] * len(ids)})
        for draw, ids in enumerate(draws)
    ]
    artifacts.write(path, pa.concat_tables(parts), "distribution")
    return path


def test_composition_counts_sources_and_overlaps(tmp_path):
    pool = write_pool(tmp_path)
    n = len(Pool.open(pool))
    facts = artifacts.read_json(pool)
    half = {**facts["sources"][0], "name": "b", "offset": n}
    artifacts.write_json(pool, {**facts, "rows": 2 * n, "sources": [*facts["sources"], half]})
    one = write(tmp_path / "one.parquet", [[0, 1, 2, n], [n, n + 1, n + 2, n + 3]])
    two = write(tmp_path / "two.parquet", [[0, 0, n + 1, n + 1]])
    rows = composition(pool, {"one": one, "two": two})
    assert [(row["distribution"], row["draw"]) for row in rows] == [
        ("one", 0),
        ("one", 1),
        ("two", 0),
    ]
    assert [(row["a"], row["b"]) for row in rows] == [(0.75, 0.25), (0, 1), (0.5, 0.5)]
    assert [row["different"] for row in rows] == [4, 4, 2]
    assert [row["in:two"] for row in rows] == [0.25, 0.25, 1]
    assert [row["in:one"] for row in rows] == [1, 0.25, 0.5]


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
