"""What a finished job says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from proxyscale.base import artifacts
from proxyscale.cli.job_messages import task_line


@pytest.mark.parametrize(
    ("asked_for", "available", "cut", "told"),
    [
        (0, 0, 3, []),
        (2, 9, 0, []),
        (9, 9, 0, ["few_shot is 9, and there are 9 to draw them from"]),
        (5, 9, 3, ["few_shot is 5, and in 3 of 8 holdout prompts not all of them fit"]),
    ],
)
def test_solved_examples_that_do_not_fit_are_told(
    tmp_path: Path, asked_for: int, available: int, cut: int, told: list[str]
) -> None:
    counts = {"items": 9, "kept": 8, "cut": cut, "lost": 0, "tokens": 50, "unknown_tokens": 0}
    facts = {"counts": {"holdout": counts}, "dropped": {}, "prior": None}
    few_shot = {"asked_for": asked_for, "available": available}
    artifacts.write_manifest(tmp_path / "manifest.json", [], few_shot=few_shot, **facts)
    rows = [
        {"example": 0, "choice": c, "gold": c == 0, "prompt": "a b", "continuation": f" {c}"}
        for c in range(4)
    ]
    table = artifacts.conform(pa.Table.from_pylist(rows), "task")
    artifacts.write(tmp_path / "holdout.parquet", table, "task")
    said = task_line(tmp_path)
    assert "right without a model: chance 25.0%, majority 100.0%, longest 25.0%, copy 25.0%" in said
    assert said.count("warning") == len(told)
    assert all(words in said for words in told)
