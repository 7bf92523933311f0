"""Sources of several files: the same corpus for any number of shards and processes, and after a
kill."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.paths import own_files
from proxyscale.data import shards
from proxyscale.data.corpora import PARTS, build_corpus
from proxyscale.data.raw_record import Dropped, Record
from proxyscale.data.records import find_files

MINUTE = 60
Read = Iterator[Any]


def spec(folder: Path, **limits: Any) -> dict[str, Any]:
    """All files of a folder, some of their documents held out."""
    return {
        "kind": "files",
        "options": {"files": f"{folder}/*"},
        "holdout": 0.2,
        "target": 0.1,
        "seed": 3,
        **limits,
    }


def built(out: Path, spec: dict[str, Any], processes: int = 1) -> tuple[bytes, bytes]:
    """Every byte of a corpus."""
    build_corpus(out, "source", spec, processes)
    assert not (out / PARTS).exists()
    return (out / "documents.parquet").read_bytes(), (out / "manifest.json").read_bytes()


def jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def texts(first: int, count: int = 40) -> list[dict[str, str]]:
    return [{"text": f"document {number} " * 20} for number in range(first, first + count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of all kinds: copies within and across them, records broken in several ways."""
    made = tmp_path_factory.mktemp("files")
    (made / "a.jsonl").write_bytes(jsonl([*texts(0), {"text": ""}, {"text": "nul \0"}, 7]))
    (made / "b.jsonl.gz").write_bytes(gzip.compress(jsonl([*texts(30), {"txet": 1, "\ud800": 2}])))
    (made / "c.jsonl.zst").write_bytes(
        zstandard.compress(jsonl([*texts(90), *texts(95)]) + b"{cut")
    )
    pq.write_table(pa.Table.from_pylist(texts(120)), made / "d.parquet")
    (made / "e.txt").write_bytes(b"\xff\xfe not text")
    (made / "f.txt").write_text("document 121 " * 20)  # as in d
    (made / "g.jsonl").write_bytes(b"\n" + jsonl([{"text": None}, *texts(170), {"text": "\ud800"}]))
    return made


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is a shard."""
    monkeypatch.setattr(shards, "LEAST", 1)


LIMITS: tuple[dict[str, Any], ...] = (
    {},
    {"max_bytes": 20_000},  # within the third file or later
    {"documents": 100},
    {"documents": 41, "max_document_bytes": 100},
)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("least", [1, 5000])
def test_shards_are_no_part_of_the_corpus(
    folder: Path, tmp_path: Path, limits: Any, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = built(tmp_path / "whole", spec(folder, **limits))
    monkeypatch.setattr(shards, "LEAST", least)
    found = shards.file_shards(f"{folder}/*", None, "text")
    assert 2 <= len(found) == {1: 7}.get(least, len(found)) <= 7
    assert built(tmp_path / "apart", spec(folder, **limits)) == whole


@pytest.mark.parametrize(("processes", "limits"), [(2, LIMITS[1]), (5, LIMITS[0])])
def test_processes_are_no_part_of_the_corpus(
    folder: Path, tmp_path: Path, processes: int, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = built(tmp_path / "whole", spec(folder, **limits))
    monkeypatch.setattr(shards, "LEAST", 1)
    assert built(tmp_path / "apart", spec(folder, **limits), processes) == whole


WORDS = st.sampled_from(["one", "two", "three", "four", "", "nul \0"])


@given(
    st.lists(st.lists(WORDS, max_size=6), min_size=2, max_size=5),
    st.sampled_from([None, 3, 6, 12]),
    st.sampled_from([None, 1, 2, 3]),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_limits_and_copies_are_decided_in_order(
    alone: None,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    most: int | None,
    documents: int | None,
) -> None:
    root = tmp_path_factory.mktemp("made")
    for number, column in enumerate(rows):
        path = root / "data" / f"{number}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jsonl([{"text": word} for word in column]) or b"\n")
    kept: list[str] = []
    read = 0
    for word in (word for name in find_files(f"{root}/data/*") for word in rows[int(name[0])]):
        read += 1
        if word and "\0" not in word and word not in kept:
            kept.append(word)
            if sum(map(len, kept)) >= (most or 1e9) or len(kept) == documents:
                break
    limits = {"max_bytes": most, "documents": documents, "holdout": 0, "target": 0}
    asked = spec(root / "data", **limits)
    if not kept:
        with pytest.raises(UserError, match="no usable document"):
            build_corpus(root / "out", "source", asked)
        return
    build_corpus(root / "out", "source", asked)
    table = artifacts.read(root / "out/documents.parquet", "documents")
    assert table["text"].to_pylist() == kept
    assert artifacts.read_json(root / "out/manifest.json")["read"] == read


def test_a_title_numbers_all_documents_of_a_source() -> None:
    rows: list[Record | Dropped] = [Record("r:0", {"text": "a"}), Dropped("r:1", "empty")]
    own = [shards.Shard(f"file {n}", str(n), lambda: rows, "text") for n in range(2)]
    named = [item.name for item in shards.Sharded(lambda: own, "title")]
    assert named == [f"title:{number}" for number in range(4)]
    assert [item.name for item in shards.Sharded(lambda: own)] == ["r:0", "r:1"] * 2


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are read here from now on."""
    names: list[str] = []
    read = shards.read_file

    def noted(name: str, *rest: Any) -> Read:
        names.append(name)
        return read(name, *rest)

    monkeypatch.setattr(shards, "read_file", noted)
    return names


# A call that is a module of its processes, too: what it changes is changed in them.
CALL = """
import json, multiprocessing, os, signal, sys, time
from pathlib import Path
from proxyscale.data import shards
from proxyscale.data.corpora import build_corpus

read, at, log = shards.read_file, sys.argv[2], Path(sys.argv[3])
shards.LEAST = 1

def spoilt(name, *rest):
    with log.open("a") as file:
        print(name, file=file)
    if name == at.partition(":")[2] and multiprocessing.parent_process():
        time.sleep(3600) if at.startswith("sleep") else os.kill(os.getpid(), signal.SIGKILL)
    return read(name, *rest)

shards.read_file = spoilt
if __name__ == "__main__":
    build_corpus(Path(sys.argv[1]), "source", json.loads(sys.argv[4]), 2)
"""


def call(root: Path, at: str, asked: dict[str, Any]) -> subprocess.Popen[str]:
    """A corpus made in `root`/out by two processes; reading the file that `at` names goes wrong."""
    script = root / "call.py"
    script.write_text(CALL)
    words = [str(root / "out"), at, str(root / "log"), json.dumps(asked)]
    command = [sys.executable, str(script), *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_killed_call_goes_on_with_what_was_whole(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = built(tmp_path / "whole", spec(folder))
    names = list(find_files(f"{folder}/*"))
    job = call(tmp_path, f"sleep:{names[4]}", spec(folder))
    parts = tmp_path / "out" / PARTS
    end = time.monotonic() + 2 * MINUTE
    # the next one is done beside it, and no other is begun
    while len(list(parts.glob("[!.]*.parquet"))) < 5 and time.monotonic() < end:
        time.sleep(0.05)
    processes = psutil.Process(job.pid).children()
    job.kill()
    job.communicate()
    _, alive = psutil.wait_procs(processes, MINUTE)
    assert processes
    assert not alive
    assert (tmp_path / "log").read_text().split() != names
    assert sorted((tmp_path / "log").read_text().split()) == sorted(names[:6])
    assert list(parts.glob(".partial-*"))
    take = f"from proxyscale.base import lock; lock.take({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", take], check=True)  # as the next call does
    assert len(list(parts.glob("[!.]*"))) == 5
    assert not [one.path for one in own_files(tmp_path, "out") if PARTS in one.path]
    monkeypatch.setattr(shards, "LEAST", 1)
    read = opened(monkeypatch)
    assert built(tmp_path / "out", spec(folder)) == whole
    assert read == [names[4], names[6]]


def test_a_process_that_dies_leaves_its_shard_to_the_job(folder: Path, tmp_path: Path) -> None:
    whole = built(tmp_path / "whole", spec(folder))
    third = list(find_files(f"{folder}/*"))[2]
    job = call(tmp_path, f"die:{third}", spec(folder))
    _, said = job.communicate()
    assert job.returncode == 0, said
    assert (tmp_path / "log").read_text().split().count(third) == 2
    assert (tmp_path / "out/documents.parquet").read_bytes() == whole[0]


def test_what_is_read_too_much_is_bounded(folder: Path, tmp_path: Path) -> None:
    job = call(tmp_path, "", spec(folder, documents=3, holdout=0, target=0))
    _, said = job.communicate()
    assert job.returncode == 0, said
    names = list(find_files(f"{folder}/*"))
    read = (tmp_path / "log").read_text().split()
    assert 1 <= len(read) <= 3
    assert set(read) <= set(names[:3])


@pytest.mark.parametrize("processes", [1, 2])
def test_a_broken_file_is_told_where_it_stands(tmp_path: Path, processes: int, alone: None) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jsonl.gz").write_bytes(gzip.compress(jsonl(texts(50 * number))))
    first, second, third, last = find_files(f"{folder}/*")
    for name in (last, third):  # the first of them is told
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])
    with pytest.raises(UserError, match="cannot be read: ") as error:
        build_corpus(tmp_path / "out", "source", spec(folder), processes)
    assert error.value.where == str(folder / third)
    assert len(list((tmp_path / "out" / PARTS).iterdir())) == 2  # of the two that are whole
    build_corpus(tmp_path / "out", "source", spec(folder, documents=80), processes)
    (folder / second).write_bytes(gzip.compress(jsonl([{"txet": "?"}] * 1000)))
    (folder / first).write_bytes(gzip.compress(jsonl([{"txet": "?"}] * 1000)))
    with pytest.raises(UserError, match="has no column 'text'") as error:
        build_corpus(tmp_path / "out", "source", spec(folder), processes)
    assert error.value.where == f"{first}:1"
    assert error.value.allowed == ["txet"]


def test_parts_of_other_files_and_specs_are_not_taken(
    tmp_path: Path, alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "data", tmp_path / "out"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jsonl").write_bytes(jsonl(texts(50 * number)))
    names = list(find_files(f"{folder}/*"))

    def left(change: Callable[[], object] = list, **changed: Any) -> list[str]:
        """What is read after a call that ended at the last file, and a change."""
        with monkeypatch.context() as patch:
            read = shards.read_file

            def ends(name: str, *rest: Any) -> Read:
                if name == names[3]:
                    raise KeyboardInterrupt
                return read(name, *rest)

            patch.setattr(shards, "read_file", ends)
            with pytest.raises(KeyboardInterrupt):
                build_corpus(out, "source", spec(folder))
        assert len(parts()) == 3
        change()
        with monkeypatch.context() as patch:
            found = opened(patch)
            made = built(out, spec(folder, **changed))
        assert made == built(tmp_path / "anew", spec(folder, **changed))
        return found

    def parts() -> list[Path]:
        return list((out / PARTS).iterdir())

    def damage() -> None:
        data = parts()[0].read_bytes()
        parts()[0].write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])

    def rewrite() -> None:
        (folder / names[1]).write_bytes((folder / names[1]).read_bytes().replace(b"1", b"2"))

    assert left() == names[3:]
    assert left(rewrite) == [names[1], names[3]]
    assert len(left(damage)) == 2
    assert left(max_bytes=10**9, seed=4) == names[3:]  # decided of all together
    assert left(max_document_bytes=50) == names
    assert left(options={"files": f"{folder}/*", "encoding": "ascii"}) == names
