"""Test sets of models that are there: the same items as a trained study asks, in text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.language_runs import write_pool
from support.made_tasks import build_test_set

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.questions import build_questions
from proxyscale.study import builtin_functions  # noqa: F401 (registers the kinds)


def records(folder: Path, count: int = 30) -> Path:
    made = [
        {"query": f"what is {n}?", "choices": [f"it is {n}", "nothing at all"], "gold": n % 2}
        for n in range(count)
    ]
    made += [made[0], {"query": "x", "choices": ["", "y"], "gold": 0}, {"query": "x"}]
    path = folder / "q.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in made))
    return path


def spec(path: Path, **changes: Any) -> dict[str, Any]:
    own = {"kind": "icl", "options": {}, "records": {"files": str(path)}, "examples": 12, "seed": 3}
    return own | {"split_by": None, "target": 0.5, "few_shot": 0} | changes


def test_they_are_those_of_a_study_that_trains_and_nothing_is_lost(tmp_path: Path) -> None:
    path = records(tmp_path)
    build_questions(tmp_path / "asked", spec(path))
    table = artifacts.read(tmp_path / "asked" / "holdout.parquet", "task")
    pool = write_pool(tmp_path)
    own = spec(path) | {"sources": [], "overlap_window": 8, "length": 200}
    build_test_set(tmp_path / "t", own, {}, tmp_path / "tokenizer.json", pool)
    trained = artifacts.read(tmp_path / "t" / "holdout.parquet", "task")
    for name in ("example", "choice", "gold", "prompt", "continuation", "bytes", "characters"):
        assert table[name].to_pylist() == trained[name].to_pylist(), name
    facts = artifacts.read_json(tmp_path / "asked" / "manifest.json")
    counts, dropped = facts["counts"]["holdout"], facts["dropped"]["holdout"]
    assert counts["kept"] == 12
    assert counts["records"] == 33
    assert dropped["duplicate"] == 1
    assert sum(dropped.values()) + counts["kept"] == counts["records"]


def test_solved_examples_stand_before_the_question(tmp_path: Path) -> None:
    build_questions(tmp_path, spec(records(tmp_path), few_shot=2))
    table = artifacts.read(tmp_path / "holdout.parquet", "task")
    for row in table.to_pylist():
        *shots, asked = row["prompt"].split("\n")
        assert len(shots) == 2
        assert asked.startswith("what is")
        assert all(asked not in shot for shot in shots)


def test_all_of_a_whole_text_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"text": " às sete"}) + "\n")
    build_questions(tmp_path, spec(path, kind="text"))
    row = artifacts.read(tmp_path / "holdout.parquet", "task").to_pylist()[0]
    assert (row["prompt"], row["continuation"], row["bytes"]) == ("", " às sete", 9)


def test_no_question_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"query": "a", "choices": [" ", "b"], "gold": 0}) + "\n")
    with pytest.raises(UserError, match="is empty"):
        build_questions(tmp_path, spec(path))
