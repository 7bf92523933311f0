"""What is damaged below a study's results is set aside before its graph is built."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np

from proxyscale.base import arrays, artifacts, lock
from proxyscale.base.paths import Paths
from proxyscale.base.repair import FOLDERS, repair


def _study(folder: Path) -> Path:
    (folder / ".claim").mkdir(parents=True)
    arrays.write(folder / "pool" / "a@0" / "inputs.npy", np.arange(9))
    artifacts.write_json(folder / "pool" / "manifest.json", {"rows": 9})
    artifacts.write_csv(folder / "tables" / "tab9.csv", [{"a": 1, "b": 2}])
    return folder


def test_what_is_damaged_is_set_aside_and_told(tmp_path: Path) -> None:
    results = _study(tmp_path / "r")
    assert repair(str(results), []) == []
    rows, table = results / "pool/a@0/inputs.npy", results / "tables/tab9.csv"
    rows.write_bytes(rows.read_bytes()[:-20])
    table.write_bytes(table.read_bytes()[:-1])
    told = "\n".join(repair(str(results), []))
    assert all(path.name in told and not path.exists() for path in (rows, table))
    assert (results / "pool/a@0/inputs.npy.damaged").exists()
    assert repair(str(results), []) == []


def test_a_torn_mark_of_whose_results_they_are_is_told(tmp_path: Path) -> None:
    results = _study(tmp_path / "r")
    mark = results / "study.json"
    artifacts.write_json(mark, {"study": "mine"})
    assert repair(str(results), []) == []
    mark.write_bytes(mark.read_bytes()[:-5])
    (told,) = repair(str(results), [])
    assert f"{mark} is damaged" in told
    assert not mark.exists()


def test_only_what_changed_is_looked_at(tmp_path: Path, monkeypatch) -> None:
    results = _study(tmp_path / "r")
    time.sleep(0.1)  # file systems count time in ticks
    repair(str(results), [])
    looked: list[str] = []
    monkeypatch.setattr("proxyscale.base.seals.damage", lambda p: looked.append(p.name) or "")
    artifacts.write_json(results / "pool" / "manifest.json", {"rows": 10})
    repair(str(results), [])
    assert looked == ["manifest.json"]


def test_others_files_are_left_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(lock.ENVIRONMENT, "")  # taken back when the test ends
    results = _study(tmp_path / "r")
    inner = _study(results / "runs" / "inner")
    mine = results / "notes.json"
    for path in (inner / "pool/manifest.json", mine):
        path.write_text("{}")
    partial = inner / "pool" / f"{lock.PARTIAL}x.npy"
    partial.write_bytes(b"")
    own = results / "pool" / f"{lock.PARTIAL}x.npy"
    own.write_bytes(b"")
    assert repair(str(results), []) == []
    lock.take(results)
    assert partial.exists()
    assert not own.exists()
    assert repair(str(results), []) == []  # while a call is at work


def test_an_empty_folder_is_no_study(tmp_path: Path) -> None:
    assert repair(str(tmp_path / "none"), []) == []


def test_every_folder_of_a_study_is_looked_at() -> None:
    paths, folders = Paths("r"), set()
    for name in ("corpus", "pack", "items", "overlap", "task", "run", "features", "datamodels"):
        folders.add(getattr(paths, name)().split("/")[1])
    for file in (paths.tokenizer, paths.pool, paths.rival_losses, paths.distribution()):
        folders.add(file.split("/")[1])
    assert folders <= set(FOLDERS)


def test_a_copy_is_looked_at_whatever_was_looked_at_before(tmp_path: Path) -> None:
    first, copied = tmp_path / "first", tmp_path / "copied"
    (first / "pool").mkdir(parents=True)
    (first / ".claim").mkdir()
    artifacts.write_json(first / "pool" / "manifest.json", {"rows": 1})
    assert repair(str(first), []) == []
    (first / "pool" / "manifest.json").write_bytes(b"{}")
    shutil.copytree(first, copied)
    time.sleep(0.02)
    os.utime(copied / ".claim" / "checked")
    assert len(repair(str(copied), [])) == 1
