"""What a study no longer makes is set aside; what is written beside takes its place at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

from proxyscale.base import artifacts, repair, seals

KILLED = """
import os, sys
from pathlib import Path
from proxyscale.base import repair
with repair.replacing("out") as folder:
    for name in ("a", "b"):
        Path(folder, name).write_text("new")
    if sys.argv[1] == "inside":
        os._exit(9)
    moved = Path.replace
    Path.replace = lambda self, to: (moved(self, to), os._exit(9))
"""


def _study(folder: Path) -> list[str]:
    made = [f"{folder}/{name}.csv" for name in ("correlation_fig1", "tables/tab9")]
    for path in (*made, f"{folder}/lds_fig6.csv", f"{folder}/tables/selection.csv"):
        artifacts.write_rows(Path(path), [{"a": 1}])
    artifacts.write_json(folder / "next.json", {"told": []})
    (folder / "notes.txt").write_text("mine\n")
    (folder / "mine.json").write_text("{}")
    return made


def test_what_is_no_longer_made_is_set_aside_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    made = _study(folder)
    told = repair.leave(str(folder), made)
    left = {"lds_fig6.csv", "lds_fig6.txt", "next.json", "selection.csv", "selection.txt"}
    aside = [p for p in (folder / repair.LEFT).rglob("*") if p.is_file() and p.name[0] != "."]
    assert {path.name for path in aside} == left
    assert all(any(name in line for line in told) for name in left)
    assert all(not seals.damage(path) for path in aside)
    kept = {path.name for path in folder.rglob("*") if path.is_file()} - left
    assert {"notes.txt", "mine.json", "correlation_fig1.csv", "tab9.csv", "tab9.txt"} <= kept
    assert repair.leave(str(folder), made) == []


@pytest.mark.parametrize("when", ["inside", "between"])
@pytest.mark.parametrize("there", [False, True])
def test_a_killed_call_leaves_nothing_that_the_next_refuses(
    tmp_path: Path, when: str, there: bool
) -> None:
    out = tmp_path / "out"
    if there:
        out.mkdir()
        (out / "a").write_text("old")
        (out / "mine").write_text("mine")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-c", KILLED, when]
    done = subprocess.run(words, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == (9 if when == "inside" or there else 0)
    if when == "inside":
        assert out.exists() == there
        assert not there or (out / "a").read_text() == "old"
    with repair.replacing(str(out)) as folder:
        for name in ("a", "b"):
            Path(folder, name).write_text("newer")
    assert {(out / name).read_text() for name in ("a", "b")} == {"newer"}
    assert (out / "mine").exists() == there
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_text("old")
    with pytest.raises(FileNotFoundError), repair.replacing(str(tmp_path / "out")) as folder:
        Path(folder, "a").rename(Path(folder, "no", "such", "place"))
    assert (tmp_path / "out/a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
