"""Original formats, read as they are; damaged ones refused by file and line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.data import (
    formats,
    records,
    task_kinds,  # noqa: F401 (registers the kinds)
)
from proxyscale.data.corpora import build_corpus, read_records
from proxyscale.data.raw_record import Dropped
from proxyscale.data.records import Files
from proxyscale.data.task_items import Item, Record

ROWS = [{"text": f"row {i}, ünï\tcode", "n": str(i)} for i in range(5)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def fields(path: Path, **options: Any) -> list[dict[str, Any]]:
    found = list(read_records({"files": str(path), **options}))
    assert not [one for one in found if isinstance(one, Dropped)], found
    return [one.fields for one in found]


def items(kind: str, path: Path, layout: dict[str, Any], **options: Any) -> list[Item]:
    records = (Record(one.fields, one.name) for one in read_records({"files": str(path), **layout}))
    made = list(registry.task[kind](records, **options))
    assert all(isinstance(one, Item) for one in made), made
    return made


def arrow(stream: bool) -> bytes:
    table, buffer = pa.Table.from_pylist(ROWS), io.BytesIO()
    if stream:
        with pa.ipc.new_stream(buffer, table.schema) as writer:
            writer.write_table(table)
    else:
        pyarrow.feather.write_feather(table, buffer)
    return buffer.getvalue()


COLUMNS = {key: [row[key] for row in ROWS] for key in ROWS[0]}
PLAIN = LINES.encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.JSONL", PLAIN),
        ("a.ndjson", PLAIN),
        ("a.jsonl.GZ", gzip.compress(PLAIN)),
        ("a.jsonl.gz", gzip.compress(PLAIN[:40]) + gzip.compress(PLAIN[40:]) + bytes(512)),
        ("a.jsonl.xz", lzma.compress(PLAIN)),
        ("a.jsonl.bz2", bz2.compress(PLAIN)),
        ("a.json", json.dumps(ROWS).encode()),
        ("a.json.gz", gzip.compress(json.dumps({"version": 1, "data": ROWS}).encode())),
        ("b.json", json.dumps({str(i): row for i, row in enumerate(ROWS)}).encode()),
        ("c.json", json.dumps(COLUMNS).encode()),
        ("a.arrow", arrow(stream=False)),
        ("b.arrow", arrow(stream=True)),
        ("a.arrow.zst", zstandard.compress(arrow(stream=True))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # packed bytes hold the time
)
def test_the_same_records_in_any_clothes(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    found = fields(tmp_path / name)
    assert [{key: row[key] for key in ROWS[0]} for row in found] == ROWS


def test_a_zstd_window_beyond_the_usual_is_read(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=30)
    made = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "a.jsonl.zst").write_bytes(made.compress(PLAIN) + made.flush())
    assert fields(tmp_path / "a.jsonl.zst") == ROWS


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_an_encoding_is_told(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES.encode(encoding))
    assert fields(tmp_path / "a.jsonl", encoding=encoding) == ROWS


@pytest.mark.parametrize("encoding", ["utf-7b", "base64", "rot13", "undefined", "idna", "hex"])
def test_what_is_no_encoding_of_text_is_refused(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    with pytest.raises(UserError, match=f"no encoding of text: '{encoding}'"):
        fields(tmp_path / "a.jsonl", encoding=encoding)


def test_an_encoding_that_is_not_told_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES.encode("latin-1"))
    spec = {"kind": "files", "options": {"files": str(tmp_path / "a.jsonl")}}
    with pytest.raises(UserError, match="hint: in which encoding is it"):
        build_corpus(tmp_path / "corpus", "a", spec)


NESTED = {
    "version": "1.1",
    "data": [
        {
            "title": title,
            "paragraphs": [
                {
                    "context": f"{title} is in Oslo.",
                    "qas": [
                        {
                            "id": f"{title}{i}",
                            "question": f"Where is {title}?",
                            "answers": [{"text": "Oslo", "answer_start": 0}, {"text": "in Oslo"}],
                        }
                        for i in range(count)
                    ],
                }
            ],
        }
        for title, count in (("Rivers", 2), ("Towns", 1))
    ],
}


@pytest.mark.parametrize("at", [None, "data.paragraphs.qas", "data[].paragraphs[].qas[]"])
def test_squads_own_json(tmp_path: Path, at: str | None) -> None:
    path = tmp_path / "squad.json"
    path.write_text(json.dumps(NESTED, indent=1))
    made = items("squad", path, {"at": at} if at else {})
    assert [one.choices for one in made] == [(" Oslo",)] * 3
    assert made[0].prompt.startswith("Context: Rivers is in Oslo.\nQuestion: Where is Rivers?")
    assert (made[0].context, made[0].others) == ("Rivers is in Oslo.", ("in Oslo",))
    if at:
        assert [row["title"] for row in fields(path, at=at)] == ["Rivers", "Rivers", "Towns"]
        with pytest.raises(UserError, match="did you mean 'data'"):
            fields(path, at="dat.paragraphs")
        (told,) = {one.reason for one in read_records({"files": str(path), "at": "data.paragraph"})}
        assert told == "has no key 'paragraph'"


def test_tables_without_a_header(tmp_path: Path) -> None:
    rows = 'i\tThe cat "sat" and\tbegan to\trecited\t0', 'o\tA\tb\t"c ""d"""\t1'
    (tmp_path / "a.tsv").write_text("\n".join(rows))
    columns = ["kind", "ask", "a", "b", "right"]
    found = items(
        "prompt", tmp_path / "a.tsv", {"columns": columns},
        prompt="{ask}", choices=[" {a}", " {b}"], gold="right",
    )  # fmt: skip
    assert [one.choices for one in found] == [(" began to", " recited"), (" b", ' c "d"')]
    assert [one.gold for one in found] == [0, 1]
    (tmp_path / "a.csv").write_text('"3","Oil","Up, ""they"" said."\n"1","Talks","On."\n')
    assert fields(tmp_path / "a.csv", columns=["class", "title", "text"]) == [
        {"class": "3", "title": "Oil", "text": 'Up, "they" said.'},
        {"class": "1", "title": "Talks", "text": "On."},
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "LINE_LIMIT", 20)
        with pytest.raises(UserError, match=r"a\.csv:1: a line above"):
            fields(tmp_path / "a.csv", columns=["class", "title", "text"])
    (tmp_path / "b.csv").write_text("x,x\n1,2\n")
    with pytest.raises(UserError, match="two columns are named 'x'"):
        fields(tmp_path / "b.csv")


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.text("ab '", min_size=1, max_size=8), min_size=2, max_size=8),
    place=st.integers(0, 7),
)
def test_an_open_quote_is_named_by_its_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], place: int
) -> None:
    place %= len(rows)
    lines = ["n,text\n"]
    for number, row in enumerate(rows):
        lines.append(f'{number},"{row}"\n' if number != place else f'{number},"open {row}\n')
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text("".join(lines), newline="")
    begin = "".join(lines[: place + 1]).count("\n") + 1
    with pytest.raises(UserError, match=rf"a\.csv:{begin}: "):
        fields(path)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (b"x", "bytes"),
        (["x"], "a list"),
        (3, "a number"),
        (None, "null"),
        ({"a": "x"}, "an object"),
    ],
)
def test_columns_that_are_no_text_are_named(tmp_path: Path, value: Any, word: str) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [value, value]}), tmp_path / "a.parquet")
    options = {"files": str(tmp_path / "a.parquet")}
    with pytest.raises(UserError, match=f"2 {word}, not text"):
        build_corpus(tmp_path / "out", "s", {"kind": "files", "options": options})


def test_any_name_of_a_file_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "d {w}" / "-x $HOME"
    folder.mkdir(parents=True)
    names = [b"caf\xe9.jsonl", b"-a.jsonl", b"{b}.jsonl", b"~.jsonl"]
    for number, name in enumerate(names):
        path = os.path.join(os.fsencode(folder), name)
        with open(path, "wb") as file:
            file.write(json.dumps({"text": f"text {number}"}).encode())
    options = {"files": str(folder / "*.jsonl")}
    build_corpus(tmp_path / "out", "s", {"kind": "files", "options": options})
    table = pa.parquet.read_table(tmp_path / "out/documents.parquet")
    assert sorted(table["text"].to_pylist()) == [f"text {i}" for i in range(4)]
    assert "caf\\xe9.jsonl:1" in table["name"].to_pylist()


@pytest.mark.parametrize("read_whole", [records.READ_WHOLE, 0])
def test_another_file_in_place_is_told_whatever_its_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_whole: int
) -> None:
    monkeypatch.setattr(records, "READ_WHOLE", read_whole)
    first, other = tmp_path / "a.txt", tmp_path / "b.txt"
    for path in (first, other):
        path.write_text(f"same size {path.name}")
        os.utime(path, ns=(1, 1))
    before = Files().stamp(str(first))
    assert Files().stamp(str(first)) == before != Files().stamp(str(other))
    other.replace(first)
    assert Files().stamp(str(first)) != before


def test_a_touched_file_is_the_same_one_and_another_name_is_not(tmp_path: Path) -> None:
    path = tmp_path / "class" / "a.txt"
    path.parent.mkdir()
    path.write_text("text")
    before = Files().stamp(str(tmp_path))
    os.utime(path, ns=(1, 1))
    assert Files().stamp(str(tmp_path)) == before
    path.parent.rename(tmp_path / "other")
    assert Files().stamp(str(tmp_path)) not in (before, Files().stamp(None))


def test_the_hint_names_a_format_that_would_work(tmp_path: Path) -> None:
    for content, word in ((PLAIN, "jsonl"), (b"[1]", "json"), (b"a\tb", "tsv"), (b"prose", "txt")):
        (tmp_path / "a.dat").write_bytes(content)
        with pytest.raises(UserError, match=f"format: {word}"):
            fields(tmp_path / "a.dat")


def test_damaged_files_are_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(5000)
    for suffix, pack in ((".gz", gzip), (".xz", lzma), (".bz2", bz2), (".zst", zstandard)):
        path = tmp_path / f"a.txt{suffix}"
        path.write_bytes(pack.compress(noise)[:-700])
        with pytest.raises(UserError, match="cannot be read"):
            fields(path)
