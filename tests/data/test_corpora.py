"""Corpora: what is read, what is dropped and why, and where each document goes."""

from __future__ import annotations

import csv
import gzip
import json
import string
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.corpora import Document, build_corpus, read_records
from proxyscale.data.formats import PIECE, cut_at
from proxyscale.data.raw_record import Dropped
from proxyscale.registry import corpus

TEXTS = ["one line\u2028still the same", "zwei Zeilen\n", "три", "四つの文字", "x" * 1000]


def build(out: Path, kind: str, options: dict[str, Any], **limits: Any) -> tuple[pa.Table, Any]:
    build_corpus(out, "source", {"kind": kind, "options": options, **limits})
    return artifacts.read(out / "documents.parquet", "documents"), read_manifest(out)


def read_manifest(out: Path) -> Any:
    return artifacts.read_json(out / "manifest.json")


def files(out: Path, data: dict[str, bytes], **options: Any) -> tuple[pa.Table, Any]:
    """The corpus of some files, all in one folder of `out`."""
    folder = out / "data"
    for name, content in data.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    limits = {k: options.pop(k) for k in list(options) if k not in ("column", "format")}
    named = {"files": str(folder / "**/*"), **options}
    return build(out / "corpus", "files", named, **limits)


def jsonl(records: list[Any]) -> bytes:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


def encoded(kind: str, path: Path) -> None:
    """TEXTS in a file of a kind, told by its suffix."""
    records = jsonl([{"id": i, "body": text} for i, text in enumerate(TEXTS)])
    if kind == "csv":
        with open(path, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("id", "body"), *enumerate(TEXTS)])
    elif kind == "parquet":
        pq.write_table(pa.table({"id": range(len(TEXTS)), "body": TEXTS}), path)
    elif kind == "jsonl.zst":  # in two frames, as parallel compressors write them
        half = len(records) // 2
        path.write_bytes(b"".join(map(zstandard.compress, (records[:half], records[half:]))))
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(records))
    else:
        path.write_bytes(records)


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.zst", "jsonl.gz", "csv", "parquet"])
def test_every_format_gives_the_same_texts(tmp_path: Path, kind: str) -> None:
    encoded(kind, tmp_path / f"texts.{kind}")
    options = {"files": str(tmp_path / f"*.{kind}"), "column": "body"}
    documents, manifest = build(tmp_path / "out", "files", options)
    assert documents["text"].to_pylist() == TEXTS
    assert documents["document"].to_pylist() == list(range(len(TEXTS)))
    assert manifest["read"] == manifest["documents"]["pool"] == len(TEXTS)
    records = list(read_records({"files": str(tmp_path / f"*.{kind}")}))
    assert [record.fields["body"] for record in records] == TEXTS


def test_text_files_and_names_without_machine_paths(tmp_path: Path) -> None:
    documents, _ = files(tmp_path, {"a/x.txt": b"\xef\xbb\xbfone", "b/y.txt": "zwölf".encode()})
    found = dict(zip(documents["name"].to_pylist(), documents["text"].to_pylist(), strict=True))
    assert found == {"a/x.txt": "one", "b/y.txt": "zwölf"}


def test_a_large_text_file_is_several_documents_that_join_to_it(tmp_path: Path) -> None:
    text = "".join(f"paragraph {i} " + "ü" * (i % 97) + "\n\n" for i in range(40_000))
    documents, manifest = files(tmp_path, {"big.txt": text.encode()})
    pieces = documents["text"].to_pylist()
    assert "".join(pieces) == text
    assert len(pieces) > 2
    assert all(len(piece.encode()) <= PIECE and piece.endswith("\n\n") for piece in pieces)
    assert manifest["bytes"]["pool"] == len(text.encode())


def test_a_long_line_of_one_record(tmp_path: Path) -> None:
    documents, manifest = files(
        tmp_path, {"a.jsonl": jsonl([{"text": "word " * 1_000_000}])}, max_document_bytes=60_000
    )
    assert len(documents["text"][0].as_py()) == 60_000
    assert manifest["cut"] == 1


def test_what_cannot_be_used_is_counted_and_named(tmp_path: Path) -> None:
    lines = [
        jsonl([{"text": f"good {i}"} for i in range(7)]),
        jsonl([{"text": "good"}, {"text": ""}, {"text": " \n\t"}, {"text": "nul \0 byte"}]),
        b'{"text": "latin \xe9"}\n{"text": "\\ud800"}\n{"text": "cut of',
        b"\n\n[1]\n",
        jsonl([{"text": None}, {"text": 7}, {"other": "x"}, {"text": "good"}]),
    ]
    documents, manifest = files(tmp_path, {"bad.jsonl": b"".join(lines)})
    assert documents["text"].to_pylist() == [*(f"good {i}" for i in range(7)), "good"]
    assert manifest["dropped"] == {
        "empty": 2,
        "NUL byte": 1,
        "not UTF-8": 2,
        "not JSON": 1,
        "not a JSON object": 1,
        "null, not text": 1,
        "a number, not text": 1,
        "has no column 'text'": 1,
        "duplicate": 1,
    }
    assert manifest["dropped_first"]["not JSON"] == ["bad.jsonl:14"]
    assert manifest["read"] == sum(manifest["dropped"].values()) + 8


def test_a_bad_cell_does_not_end_a_csv_file(tmp_path: Path) -> None:
    rows = b'id,text\n1,good\n2,caf\xe9\n3,"two\nlines"\n4,too,many\n5\n6,last\n'
    documents, manifest = files(tmp_path, {"rows.csv": rows})
    assert documents["text"].to_pylist() == ["good", "two\nlines", "last"]
    assert manifest["dropped"] == {
        "not UTF-8": 1,
        "more cells than columns": 1,
        "null, not text": 1,
    }


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.jsonl", jsonl([{"body": "x"}]), {}, r"a\.jsonl:1: has no column 'text'"),
        ("a.jsonl", jsonl([{"body": "x"}]), {"column": "bodi"}, "did you mean 'body'"),
        ("a.csv", b"body\nx\n", {}, "has no column 'text'"),
        ("a.jsonl", b"", {}, "no usable document: none found"),
        ("a.txt", b"\xff\xfe\xff", {}, r"no usable document: 1 not UTF-8 \(a.txt"),
        ("a.xml", b"<x/>", {}, "unknown format 'xml'"),
        ("a", b"x", {}, "unknown format ''"),
        ("a.jsonl", b"x", {"format": "jsnl"}, "did you mean 'jsonl'"),
        ("a.parquet", b"PAR1 not really", {}, "cannot be read"),
        ("a.jsonl.zst", b"not zstd", {}, "cannot be read"),
        ("a.jsonl.zst", zstandard.compress(bytes(9999))[:-5], {}, "cannot be read"),
        ("a.txt", b"one", {"holdout": 0.5, "target": 0.5}, "leave the split"),
        ("a.txt", b"one", {"holdout": 1e-6}, "leave the split holdout"),
    ],
)
def test_refused_with_the_place(
    tmp_path: Path, name: str, content: bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        files(tmp_path, {name: content}, **options)
    assert not list((tmp_path / "corpus").glob("*"))


def test_a_glob_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file matches"):
        build(tmp_path, "files", {"files": str(tmp_path / "*.txt")})
    with pytest.raises(UserError, match=r"\*\*/\*\.txt"):
        build(tmp_path, "files", {"files": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b'{"x": 1}\nnonsense\n', "2: not JSON"),
        ("a.jsonl", b'{"x": 1}\n{"x": "\\ud800"}\n', "2: not UTF-8"),
        ("a.csv", b"x\ncaf\xe9\n", "2: not UTF-8"),
        ("a.csv", b"x\n1,2\n", "2: more cells than columns"),
    ],
)
def test_a_broken_record_of_a_task_is_dropped_by_its_name(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    *_, last = read_records({"files": str(tmp_path / name)})
    assert isinstance(last, Dropped)
    assert last.broken
    assert f"{last.name}: {last.reason}" == f"{name}:{reason}"


def test_one_document_is_a_corpus(tmp_path: Path) -> None:
    documents, manifest = files(tmp_path, {"a.txt": b"one"})
    assert documents["split"].to_pylist() == ["pool"]
    assert manifest["documents"] == {"pool": 1, "target": 0, "holdout": 0}


def test_splits_follow_the_text_alone(tmp_path: Path) -> None:
    records = [{"text": f"document {i}"} for i in range(2000)]
    shares = {"holdout": 0.2, "target": 0.1}
    first, manifest = files(tmp_path / "a", {"a.jsonl": jsonl(records)}, **shares)
    second, _ = files(tmp_path / "b", {"z.jsonl": jsonl(records[::-1])}, **shares)
    other, _ = files(tmp_path / "c", {"a.jsonl": jsonl(records)}, seed=1, **shares)

    def sides(table: pa.Table) -> dict[str, str]:
        return dict(zip(table["text"].to_pylist(), table["split"].to_pylist(), strict=True))

    assert sides(first) == sides(second) != sides(other)
    # Binomial: four standard deviations of 2,000 draws.
    assert manifest["documents"]["holdout"] == pytest.approx(400, abs=4 * 18)
    assert manifest["documents"]["target"] == pytest.approx(200, abs=4 * 14)


def test_limits_end_the_reading(tmp_path: Path) -> None:
    data = {"a.jsonl": jsonl([{"text": f"{i:010d}"} for i in range(100)])}
    few, _ = files(tmp_path / "a", data, documents=7)
    small, manifest = files(tmp_path / "b", data, max_bytes=95)
    assert len(few) == 7
    assert len(small) == manifest["read"] == 10


def test_the_order_of_files_is_shuffled_and_hangs_on_no_folder(tmp_path: Path) -> None:
    data = {f"{letter}.txt": letter.encode() for letter in string.ascii_letters}
    first, _ = files(tmp_path / "a", data)
    second, _ = files(tmp_path / "b/deeper", data)
    assert first["text"].to_pylist() == second["text"].to_pylist()
    assert first["text"].to_pylist() != sorted(data)
    assert read_manifest(tmp_path / "a/corpus") == read_manifest(tmp_path / "b/deeper/corpus")


@given(st.binary(min_size=1, max_size=300), st.integers(1, 299))
def test_a_cut_is_within_the_limit(data: bytes, limit: int) -> None:
    if len(data) > limit:
        assert limit // 2 < cut_at(data, limit) <= limit or limit - 4 < cut_at(data, limit)


@given(st.text(min_size=1, max_size=80), st.integers(4, 200))
def test_a_cut_keeps_characters_whole(text: str, limit: int) -> None:
    data = text.encode()
    if len(data) > limit:
        cut = cut_at(data, limit)
        assert 0 < cut <= limit
        assert data[:cut].decode() + data[cut:].decode() == text


def test_plugin_corpora_are_treated_alike(tmp_path: Path) -> None:
    def made_up(*, count: int) -> Any:
        """Documents out of nothing."""
        return (Document(str(i), f"text {i % 3}") for i in range(count))

    corpus(made_up)
    try:
        documents, manifest = build(tmp_path, "made-up", {"count": 9})
    finally:
        del corpus.functions["made-up"]
    assert len(documents) == 3
    assert manifest["dropped"] == {"duplicate": 6}


def test_the_hub_needs_a_commit(tmp_path: Path) -> None:
    for revision in (None, "main", "v1.0"):
        with pytest.raises(UserError, match="pinned revision"):
            build(tmp_path, "hub", {"hub": "allenai/c4", "revision": revision})


@pytest.mark.filterwarnings("ignore")
def test_a_folder_is_read_as_the_hub_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").write_bytes(jsonl([{"text": text} for text in TEXTS]))
    options = {"hub": str(tmp_path / "data"), "revision": "0" * 40, "streaming": True}
    documents, _ = build(tmp_path / "out", "hub", options, documents=3)
    assert documents["text"].to_pylist() == TEXTS[:3]
    with pytest.raises(UserError, match="did you mean 'text'"):
        build(tmp_path / "out", "hub", {**options, "column": "txt"})
    with pytest.raises(UserError, match="cannot be read"):
        build(tmp_path / "out", "hub", {**options, "split": "nowhere"})


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=20), min_size=1, max_size=30))
def test_every_record_is_kept_or_counted(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    usable = {t for t in texts if t.strip() and "\0" not in t}
    data = {"a.jsonl": b"".join(json.dumps({"text": t}).encode() + b"\n" for t in texts)}
    if not usable:
        return
    documents, manifest = files(tmp_path_factory.mktemp("any"), data)
    assert set(documents["text"].to_pylist()) == usable
    assert len(documents) == len(usable)
    assert manifest["read"] == len(texts) == len(usable) + sum(manifest["dropped"].values())
