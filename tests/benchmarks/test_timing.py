"""The table of benchmarks: rates, ratios, and what an earlier table says."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import timing


def test_works_take_turns() -> None:
    called: list[str] = []
    seconds = timing.in_turns(2, lambda: called.append("a"), lambda: called.append("b"))
    assert called == ["a", "b"] * 3
    assert [len(each) for each in seconds] == [2, 2]


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    seconds = [[1.0, 2.0, 4.0], [3.0, 4.0, 4.0]]  # by rounds 3, 2, 1
    (row,) = timing.compared("x", "rows", 10, seconds, ["peer"], lambda rate: rate / 50)
    assert (row.ours, row.theirs, row.ratio, row.limit) == (5.0, 2.5, 2.0, 0.1)
    (alone,) = timing.compared("x", "rows", 10, seconds[:1])
    assert (alone.peer, alone.theirs, alone.ratio, alone.limit) == ("", None, None, None)


def test_a_later_run_is_held_against_the_earlier(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.csv"
    rows = [timing.Row("x", "rows", 5.0, "peer", 2.5, 2.0, 0.1), timing.Row("y", "MB", 3.0)]
    timing.write(path, rows, timing.read(path))
    before = timing.read(path)
    slower = rows[0]._replace(ours=4.0)
    assert timing.told(slower, before["x", "peer"]).endswith("0.80 of before, WORSE")
    assert timing.told(rows[1], before["y", ""]).endswith("1.00 of before")
    elsewhere = before["x", "peer"] | {"machine": "another"}  # there ratios are compared
    assert timing.told(slower, elsewhere).endswith("ratio was 2.00")
    assert timing.told(slower._replace(ratio=1.5), elsewhere).endswith("WORSE")
    timing.write(path, [slower], before)
    after = timing.read(path)
    assert float(after["x", "peer"]["ours"]) == pytest.approx(4.0)
    assert after["y", ""] == before["y", ""]
