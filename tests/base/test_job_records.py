"""A job's record says what it was made of, and how that differs from what it would be made of."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from proxyscale.base import artifacts, job_records, seals
from proxyscale.base.vouching import Vouching, restamp


def made(**changes: object) -> job_records.Record:
    """A record of a job that trains."""
    spec = json.dumps({"model": {"width": 8}, "seed": 0})
    record: job_records.Record = {
        "rule": "train",
        "command": "train --out",
        "params": {"spec": spec, "code": "a1"},
        "read": {"{results}/pool/manifest.json": "1", "{results}/pool/a.npy": ""},
        "made": {"{results}/runs/model.safetensors": "2"},
    }
    return record | changes


@pytest.mark.parametrize(
    ("now", "files", "config", "code"),
    [
        ({}, [], [], []),
        (
            {"params": {"spec": '{"model": {"width": 12}, "more": 1}', "code": "a1"}},
            [],
            ["model.width: 12, was 8", "more: 1, was nothing", "seed: nothing, was 0"],
            [],
        ),
        ({"params": made()["params"] | {"code": "b2"}}, [], [], ["code a1 is now b2"]),
        ({"command": "train --to"}, [], [], ["its command is another one"]),
        (
            {"params": made()["params"] | {"plugins": "--plugin mine.py"}},
            [],
            ["plugins: --plugin mine.py, was nothing"],
            [],
        ),
        (
            {"made": {"{results}/runs/model.safetensors": "3"}},
            ["{results}/runs/model.safetensors is not the file that was made"],
            [],
            [],
        ),
        (
            {"read": made()["read"] | {"{results}/pool/manifest.json": "5"}},
            ["it was made of another {results}/pool/manifest.json"],
            [],
            [],
        ),
        (
            {"read": {"{results}/pool/manifest.json": "1", "b": "4", "{package}/page.css": "6"}},
            [],
            ["it did not read b", "it read {results}/pool/a.npy, too"],
            ["another {package}/page.css"],
        ),
    ],
)
def test_what_differs_is_told(
    now: dict[str, object], files: list[str], config: list[str], code: list[str]
) -> None:
    assert job_records.differences(made(), made(**now), updated=False) == (files, config, code)


def test_a_job_that_updates_may_have_read_more() -> None:
    now = made(read={"{results}/pool/manifest.json": "1"})
    assert not any(job_records.differences(made(), now, updated=True))
    assert any(job_records.differences(now, made(), updated=True))


def test_a_file_is_known_by_the_sum_that_it_carries(tmp_path: Path) -> None:
    path, same = tmp_path / "a.json", tmp_path / "b.json"
    artifacts.write_json(path, {"a": 1})
    artifacts.write_json(same, {"a": 1})
    assert seals.sum_of(path) == seals.sum_of(same)
    artifacts.write_json(same, {"a": 2})
    assert seals.sum_of(path) != seals.sum_of(same)
    for name in ("own.csv", "foreign.csv", "foreign.bin"):
        file = tmp_path / name
        if name == "own.csv":
            artifacts.write_csv(file, [{"a": 1}])
        else:
            file.write_bytes(b"a\n1\n")
    sums = {seals.sum_of(tmp_path / name) for name in ("own.csv", "foreign.csv", "foreign.bin")}
    assert len(sums) == 1


def test_what_an_earlier_code_made_is_vouched_for_by_a_later_one(tmp_path: Path) -> None:
    file = tmp_path / "task.parquet"
    _write(file)
    Vouching(tmp_path, ".parquet", {"task": {"model": "m", "version": "a1"}}).made("task", file)
    later = {"task": {"model": "m", "version": "b2"}}
    assert Vouching(tmp_path, ".parquet", later).stale == ["task"]
    restamp(tmp_path, "other", "b2")
    assert Vouching(tmp_path, ".parquet", later).stale == ["task"]
    restamp(tmp_path, "a1", "b2")
    assert Vouching(tmp_path, ".parquet", later).stale == []


def _write(file: Path) -> None:
    artifacts.write(file, pa.table({"example": [1, 2], "score": [0.5, 1.0]}), "score")
