"""Fields that no record has are mistakes told before any work, whatever reads them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from proxyscale.base.errors import UserErrors
from proxyscale.study.input_checks import check_inputs
from proxyscale.study.language_study import LanguageStudy

TEXT = [{"text": f"some words of document {n} " * 40, "title": f"t{n}"} for n in range(60)]
ASKED = [{"question": f"what is {n}", "reply": f"it is {n}", "about": n} for n in range(20)]


@pytest.fixture
def files(minimal: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The smallest study, whose source and test set are read from files."""
    monkeypatch.chdir(tmp_path)
    write("text.jsonl", TEXT)
    write("asked.jsonl", ASKED)
    for name in minimal["sources"]:
        minimal["sources"][name] = {"files": "text.jsonl"}
    records = {"files": "asked.jsonl"}
    options = {"prompt": "{question}? ", "continuation": "{reply}"}
    minimal["tasks"] = {"t": {"kind": "prompt", "records": records, **options}}
    return minimal


def write(name: str, rows: list[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def told(study: dict[str, Any]) -> str:
    try:
        check_inputs(LanguageStudy.load(study))
    except UserErrors as error:
        return str(error)
    return ""


def first(section: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(section.values()))
    return found


def test_what_has_its_fields_passes(files: dict[str, Any]) -> None:
    assert told(files) == ""
    files["tasks"]["t"]["split_by"] = "about"
    assert told(files) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": "{qestion}? "}, ["tasks.t: asked.jsonl:1:", "'qestion'", "'question'?"]),
        ({"continuation": "{replies[0]}"}, ["'replies'", "allowed: question, reply, about"]),
        ({"split_by": "abuot"}, ["tasks.t: asked.jsonl:1:", "'abuot'", "did you mean 'about'"]),
        ({"kind": "squad"}, ["tasks.t: asked.jsonl:1:", "has no field 'context'"]),
        ({"kind": "text"}, ["has no field 'text'", "allowed: question, reply, about"]),
        ({"kind": "text", "column": "about"}, ["'about' is a number, not text"]),
        (
            {"records": {"holdout": {"files": "asked.jsonl"}, "target": {"files": "text.jsonl"}}},
            ["tasks.t.target: text.jsonl:1:", "has no field 'question'", "allowed: text, title"],
        ),
    ],
)
def test_a_field_that_no_record_has_is_told(
    files: dict[str, Any], change: dict[str, Any], words: list[str]
) -> None:
    task = files["tasks"]["t"]
    if "kind" in change:
        task.pop("prompt"), task.pop("continuation")
    task.update(change)
    said = told(files)
    assert all(word in said for word in words), said


def test_a_column_that_no_document_has_is_told_in_every_format(files: dict[str, Any]) -> None:
    rows = [row["text"] for row in TEXT]
    pq.write_table(pa.table({"text": rows}), "a.parquet")
    with (
        pa.OSFile("a.arrow", "wb") as sink,
        pa.ipc.new_file(sink, pa.schema([("text", pa.string())])) as writer,
    ):
        writer.write_table(pa.table({"text": rows}))
    Path("a.csv").write_text("text\n" + "".join(f'"{row}"\n' for row in rows))
    Path("a.json").write_text(json.dumps({"rows": TEXT}))
    with gzip.open("a.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in TEXT)
    for name in ("a.parquet", "a.arrow", "a.csv", "a.json", "a.jsonl.gz"):
        source = first(files["sources"])
        source.clear()
        source.update({"files": name, "column": "txet"})
        said = told(files)
        assert "has no column 'txet'" in said, (name, said)
        assert "did you mean 'text'" in said, name
        source["column"] = "text"
        assert told(files) == "", name


def test_one_record_with_the_field_is_enough_and_a_thousand_without_are_not(
    files: dict[str, Any],
) -> None:
    lacking = [{"other": f"words {n}"} for n in range(999)]
    write("text.jsonl", [*lacking, TEXT[0], *lacking])
    assert told(files) == ""
    write("text.jsonl", [*lacking, lacking[0], TEXT[0]])
    assert "has no column 'text'" in told(files)


def test_documents_have_a_source_a_name_and_a_text(files: dict[str, Any]) -> None:
    source = next(iter(files["sources"]))
    task = {"kind": "prompt", "sources": [source], "continuation": "x"}
    files["tasks"]["t"] = task | {"prompt": "{text} of {name}"}
    assert told(files) == ""
    files["tasks"]["t"] = task | {"prompt": "{title}"}
    assert "tasks.t: a document has no field 'title'" in told(files)


def test_columns_of_images_are_told_and_folders_are_found(tmp_path: Path) -> None:
    from PIL import Image
    from support.image_studies import image_study

    from proxyscale.vision.study import ImageStudy

    study = image_study()
    pq.write_table(pa.table({"picture": [b"x"], "label": [0]}), tmp_path / "a.parquet")
    study["sources"]["digits"] = {"files": str(tmp_path / "a.parquet"), "holdout": 0.3}
    with pytest.raises(UserErrors, match=r"sources\.digits: .*has no column 'image'"):
        ImageStudy.load(study).check_inputs()
    (tmp_path / "images/cat").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "images/cat/a.png")
    study["sources"]["digits"]["files"] = str(tmp_path / "images")
    ImageStudy.load(study).check_inputs()
    study["sources"]["digits"]["files"] = str(tmp_path / "pictures")
    with pytest.raises(UserErrors, match="no file matches"):
        ImageStudy.load(study).check_inputs()
