"""Losses in one pass: the same numbers whatever order, batches and coding they come in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal
from support.tidy_tables import tables

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.statistics.all_statistics import every_statistic
from proxyscale.statistics.gathering import RUN, gathered

SPEC = {"reference": "ref", "groups": {}, "confidence": 0.95}


@pytest.fixture(scope="module")
def study():
    """Six recipes at two scales, three examples a task; of `b` a run lacks one margin."""
    rng = np.random.default_rng(0)
    one, runs = tables({s: {t: rng.random((6, 4)) for t in "ab"} for s in ("s", "ref")})
    place = one.column_names.index("example")
    examples = [
        one.set_column(place, "example", pa.array([i] * len(one), pa.uint32())) for i in range(3)
    ]
    losses = pa.concat_tables(examples).sort_by([(name, "ascending") for name in [*RUN, "task"]])
    margins = rng.standard_normal(len(losses)).astype(np.float32)
    lacking = np.flatnonzero(pa.compute.equal(losses["task"], "b"))[3]
    mask = np.arange(len(losses)) == lacking
    columns = {
        "loss": pa.array(rng.random(len(losses))),
        "tokens": pa.array(rng.integers(1, 9, len(losses)).astype(np.uint32)),
        "margin": pa.array(margins, mask=mask),
    }
    for name, column in columns.items():
        losses = losses.set_column(losses.column_names.index(name), name, column)
    return losses, runs


def test_sums_are_those_of_each_run_and_task(study):
    losses, _ = study
    shuffled = losses.take(pa.array(np.random.default_rng(1).permutation(len(losses))))
    frame = losses.to_pandas()
    frame["nats"] = frame["loss"] * frame["tokens"]
    each = frame.groupby([*RUN, "task"])
    expected = each[["loss", "nats", "tokens"]].sum()
    expected["margin"] = each["margin"].apply(lambda values: values.astype(float).sum(skipna=False))
    for table in (losses, shuffled):
        found = gathered(table).by_run().to_pandas().set_index([*RUN, "task"]).sort_index()
        assert (found["rows"] == each.size()).all()
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)
        assert found["margin"].isna().sum() == 1
        assert found["lead"].isna().all()
    assert len(gathered(losses.slice(0, 0)).by_run()) == 0


def test_a_file_that_is_read_in_parts_gives_the_same_statistics(study, tmp_path):
    losses, runs = study
    path = tmp_path / "losses.parquet"
    artifacts.write(path, losses, "losses")
    expected = every_statistic(losses, runs, SPEC)
    assert len(expected) > 50
    assert every_statistic(artifacts.batches(path, "losses"), runs, SPEC).equals(expected)
    parts = [losses.slice(at, 7) for at in range(0, len(losses), 7)]  # runs are cut in two
    cut = every_statistic(pa.concat_tables(parts), runs, SPEC)
    assert_frame_equal(cut.to_pandas(), expected.to_pandas(), rtol=1e-9)
    with pytest.raises(UserError, match="'step' of a checkpoints table is missing or mistyped"):
        artifacts.batches(path, "checkpoints")
