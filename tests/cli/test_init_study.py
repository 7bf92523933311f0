"""`proxyscale init`: a study in a folder of one's own, which Snakemake runs as it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.dry_runs import dry_run

from proxyscale.cli.load_study import load
from proxyscale.cli.main import main
from proxyscale.study.validation import read_yaml


def documents(path: Path) -> None:
    path.parent.mkdir()
    words = [f"{n} words of {path.parent.name} " * 400 for n in range(90)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in words))


def test_a_study_of_files_is_run_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    documents(tmp_path / "raw/a.jsonl")
    documents(tmp_path / "filtered one/a.jsonl")
    words = ["--files", "raw=raw/*.jsonl", "--files", "filtered=filtered one/*.jsonl"]
    assert main(["init", "mine", *words]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: cd mine; snakemake --cores all"
    assert (tmp_path / "mine/profiles/default/config.yaml").is_file()
    said = dry_run(tmp_path / "mine")
    assert said.split("\ntrain ")[1].split()[0] == str(3 * 3 * 2)  # raw, filtered, mix


def test_a_study_of_a_table_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"r{i},{scale},{i + k}" for i in range(5) for k, scale in enumerate(("1M", "1B"))]
    Path("losses.csv").write_text("\n".join(["recipe,scale,loss", *rows]))
    assert main(["init", "theirs", "--runs", "losses.csv", "--reference", "1B"]) == 0
    study = load(read_yaml("theirs/config.yaml"))
    assert study.config.reference == "1B"
    assert "\ntrain" not in dry_run(tmp_path / "theirs")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "one folder is wanted"),
        (["mine"], "either corpora or a table"),
        (["mine", "--files", "raw"], "NAME=VALUE is wanted"),
        (["mine", "--hub", "web=some/data"], "the commit is missing"),
        (["mine", "--runs", "a.csv"], "the largest scale is to be named"),
        (["mine", "--files", "a=b/*.txt"], "no file matches b/*.txt"),
        (["there", "--files", "a=there/config.yaml"], "is there already"),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("there/config.yaml").write_text("study: mine\n")
    assert main(["init", *words]) == 2
    assert told in capsys.readouterr().err
    assert Path("there/config.yaml").read_text() == "study: mine\n"
