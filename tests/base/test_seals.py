"""A file is what was written, or is told to be damaged and set aside."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import safetensors.numpy

from proxyscale.base import arrays, artifacts, seals
from proxyscale.base.errors import UserError


def _table(path: Path) -> None:
    rows = {"example": np.arange(300), "score": np.random.default_rng(0).random(300)}
    artifacts.write(path, pa.table(rows), "score")


def _documents(path: Path) -> None:
    schema = artifacts.SCHEMAS["documents"]
    row = {"document": 1, "name": "a", "text": "one two", "hash": 3, "split": "pool"}
    with artifacts.atomic(path) as temporary, artifacts.parquet_writer(temporary, schema) as writer:
        writer.write_table(pa.Table.from_pylist([row], schema=schema))


def _tensors(path: Path) -> None:
    with artifacts.atomic(path) as temporary:
        safetensors.numpy.save_file({"a": np.arange(12.0)}, temporary, seals.HEADER)


def _page(path: Path) -> None:
    with artifacts.atomic(path) as temporary:
        temporary.write_text("<svg></svg>\n")


WRITERS: dict[str, Callable[[Path], Any]] = {
    "t.parquet": _table,
    "documents.parquet": _documents,
    "m.safetensors": _tensors,
    "a.npy": lambda path: arrays.write(path, np.arange(50)),
    "b.json": lambda path: artifacts.write_json(path, {"rows": 3, "name": "é"}),
    "c.svg": _page,
}
READERS: dict[str, Callable[[Path], Any]] = {
    "t.parquet": lambda path: artifacts.read(path, "score")["score"].to_numpy().sum(),
    "documents.parquet": lambda path: artifacts.read(path, "documents")["text"][0].as_py(),
    "m.safetensors": lambda path: safetensors.numpy.load_file(seals.verified(path))["a"].sum(),
    "a.npy": lambda path: int(arrays.read(path, "r").sum()),
    "b.json": lambda path: artifacts.read_json(path)["name"],
    "c.svg": lambda path: seals.verified(path).read_text().partition("\n")[0],
}
RIGHT = {"documents.parquet": "one two", "m.safetensors": 66.0, "a.npy": 1225, "b.json": "é"}


def _told(path: Path, name: str) -> None:
    """The damage is told with the file's name, and the file set aside."""
    with pytest.raises(seals.Damaged, match="is damaged") as told:
        READERS[name](path)
    assert name in str(told.value)
    assert not path.exists()
    assert path.with_name(name + ".damaged").exists()


@pytest.mark.parametrize("name", WRITERS)
def test_no_flip_and_no_cut_passes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    assert READERS[name](path) == RIGHT.get(name, READERS[name](path))
    whole, chance = path.read_bytes(), np.random.default_rng(1)
    for bit in chance.choice(8 * len(whole), 60, replace=False):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        _told(path, name)
    for start in chance.choice(len(whole) - 8, 10):
        zeroed = whole[:start] + bytes(8) + whole[start + 8 :]
        for broken in (whole[:start], zeroed):
            if broken != whole:
                path.write_bytes(broken)
                _told(path, name)
    path.write_bytes(whole)
    READERS[name](path)


def test_a_file_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = arrays.write(tmp_path / "a.npy", np.arange(5))
    looked: list[Path] = []
    whole = seals.damage
    monkeypatch.setattr(seals, "damage", lambda path: looked.append(path) or whole(path))
    arrays.read(path)
    arrays.read(path, "r")
    assert looked == [path]
    arrays.write(path, np.arange(6))
    assert len(arrays.read(path)) == 6
    assert looked == [path, path]


def test_the_manifest_goes_with_what_it_vouches_for(tmp_path: Path) -> None:
    file = arrays.write(tmp_path / "task" / "a.npy", np.arange(5))
    other = arrays.write(tmp_path / "b.npy", np.arange(5))
    artifacts.write_manifest(tmp_path / "manifest.json", [file])
    other.write_bytes(b"x")
    assert not seals.intact(other)
    assert (tmp_path / "manifest.json").exists()
    file.write_bytes(b"x")
    assert not seals.intact(file)
    assert not (tmp_path / "manifest.json").exists()


def test_a_shared_entry_is_set_aside_with_its_link(tmp_path: Path) -> None:
    entry = arrays.write(tmp_path / "cache" / "x.npy", np.arange(5))
    link = tmp_path / "a.npy"
    link.symlink_to(entry)
    shutil.copyfile(arrays.write(tmp_path / "other.npy", np.arange(5)), entry)
    assert arrays.read(link).sum() == 10
    entry.write_bytes(entry.read_bytes()[:-3])
    with pytest.raises(seals.Damaged, match=r"cache/x\.npy\.damaged"):
        arrays.read(link)
    assert not link.is_symlink()
    assert not entry.exists()


def test_what_has_no_sum_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(seals.Damaged, match="carries no sum"):
        artifacts.read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match="no such file"):
        artifacts.read_json(tmp_path / "b.json")
