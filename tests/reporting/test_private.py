"""A page that keeps to itself: neither texts nor paths."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from proxyscale.reporting.private import LEFT_OUT, config_text, without_paths

CONFIG = {
    "study": "s",
    "results": "results",
    "plugins": ["mine.py"],
    "sources": {"a": {"files": ["x.jsonl"], "holdout": 0.2}, "b": {"hub": "lab/texts"}},
    "tasks": {"t": {"kind": "squad", "records": {"files": "/home/me/q.json"}}},
    "runs": {"table": {"1B": "C:\\data\\a.csv"}},
}


def test_paths_are_left_out_and_all_else_stays() -> None:
    text = config_text(CONFIG, {}, False)
    for word in ("results/", "mine.py", "x.jsonl", "lab", "home", "data", "csv"):
        assert word not in text
    kept = yaml.safe_load(text)
    assert kept["sources"]["a"] == {"files": LEFT_OUT, "holdout": 0.2}
    assert kept["tasks"]["t"]["kind"] == "squad"
    assert yaml.safe_load(config_text(CONFIG, {}, True)) == CONFIG


@pytest.mark.parametrize(
    ("note", "told"),
    [
        ("read 3 rows of /data/runs.csv twice", f"read 3 rows of {LEFT_OUT} twice"),
        ("runs.csv: 2 values are dropped", f"{LEFT_OUT} 2 values are dropped"),
        ("loss: lower is better", "loss: lower is better"),
        (f"{Path('a') / 'b'} and c", f"{LEFT_OUT} and c"),
    ],
)
def test_notes_lose_their_paths_alone(note: str, told: str) -> None:
    assert without_paths(note) == told
