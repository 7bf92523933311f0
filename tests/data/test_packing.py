"""Pools that do not fit in memory: shards side by side, and jobs held to an address space."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from proxyscale.base import artifacts, seals
from proxyscale.data import corpora
from proxyscale.data.packing import END
from proxyscale.data.pool import Pool, assemble, pack

LENGTH = 512


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """Sixteen words, so that a token takes little text to write."""
    words = {END: 0, **{f"w{i:x}": i + 1 for i in range(16)}}
    made = Tokenizer(models.WordLevel(words, unk_token=END))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    artifacts.write_json(tmp_path / "tokenizer.json", json.loads(made.to_str()))
    return tmp_path / "tokenizer.json"


def corpus(folder: Path, documents: int, words: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of random words in several row groups."""
    monkeypatch.setattr(corpora, "ROW_GROUP", 1 << 14)
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i:x}" for i in rng.integers(16, size=words)) for _ in range(documents)]
    file = folder / "texts.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    options = {"files": str(file)}
    corpora.build_corpus(folder / "a", "a", {"kind": "files", "options": options})
    return folder / "a"


def test_shards_hold_the_rows_of_the_whole(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = corpus(tmp_path, 60, 900, monkeypatch)
    whole, other = tmp_path / "whole", tmp_path / "b"
    pack(whole, source, tokenizer, {"source": "a", "length": 16})
    pack(other, source, tokenizer, {"source": "b", "length": 16})
    parts = {}
    for shard in range(3):
        parts[f"a@{shard}"] = tmp_path / f"parts/{shard}"
        spec = {"source": "a", "length": 16, "shard": shard, "shards": 3}
        pack(parts[f"a@{shard}"], source, tokenizer, spec)
    assemble(tmp_path / "pool.json", {**parts, "b": other})
    pool = Pool.open(tmp_path / "pool.json")
    rows = [np.load(folder / "inputs.npy") for folder in parts.values()]
    assert min(map(len, rows)) > 100
    assert np.array_equal(pool.rows(np.arange(len(pool.ids_of("a")))), np.concatenate(rows))
    # Rows are cut anew at the beginning of a shard: the tokens are those of the whole.
    tokens = np.concatenate([part.ravel() for part in rows])
    lost = sum(artifacts.read_json(f / "manifest.json")["dropped"]["tokens of a partial row"]
               for f in parts.values())  # fmt: skip
    single = np.load(whole / "inputs.npy").size
    assert tokens.size + lost - single in range(16)
    assert pool.sources == ["a", "b"]
    assert pool.counts == {"a": sum(map(len, rows)), "b": len(np.load(other / "inputs.npy"))}
    assert pool.ids_of("b") == range(pool.counts["a"], len(pool))
    assert set(pool.source_of(np.arange(len(pool)))[: pool.counts["a"]]) == {0}


def limited(megabytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A job that may not map more than so much address space of its own."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))

    command = [sys.executable, "-m", "proxyscale", *arguments]
    return subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)


def large_pool(folder: Path, rows: int) -> Path:
    """A pool of random rows, written a piece at a time."""
    shape = (rows, LENGTH)
    (folder / "a@0").mkdir(parents=True)
    written = np.lib.format.open_memmap(folder / "a@0/inputs.npy", "w+", np.uint16, shape)
    rng = np.random.default_rng(0)
    for start in range(0, rows, 1 << 14):
        part = written[start : start + (1 << 14)]
        part[:] = rng.integers(1, 17, part.shape, np.uint16)
    written.flush()
    seals.seal(folder / "a@0/inputs.npy")
    facts: dict[str, Any] = {"rows": rows, "length": LENGTH, "vocabulary": 17, "tokenizer": "x"}
    artifacts.write_json(folder / "a@0/manifest.json", {**facts, "files": {}, "dropped": {}})
    assemble(folder / "manifest.json", {"a@0": folder / "a@0"})
    return folder / "manifest.json"


@pytest.mark.parametrize("method", ["random", "dsir"])
def test_selection_holds_no_pool_in_memory(tmp_path: Path, tokenizer: Path, method: str) -> None:
    pool = large_pool(tmp_path / "pool", 1 << 19 if method == "random" else 1 << 13)
    allowed = 400  # MiB of data; the interpreter with its libraries takes about 200 of them
    if method == "random":
        assert (tmp_path / "pool/a@0/inputs.npy").stat().st_size > allowed << 20
    target = {
        "example": [0], "choice": [0], "gold": [True], "scored_from": [1],
        "tokens": [[1, 2, 3, 4]], "prompt": [""], "continuation": ["w1"],
    }  # fmt: skip
    artifacts.write(tmp_path / "target.parquet", pa.table(target), "task")
    spec = {"name": "d", "method": method, "size": 1000, "seed": 0, "options": {}}
    done = limited(
        allowed,
        *("select", "--pool", str(pool), "--tokenizer", str(tokenizer)),
        *("--target", str(tmp_path / "target.parquet"), "--spec", json.dumps(spec)),
        *("--out", str(tmp_path / "d.parquet")),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(artifacts.read(tmp_path / "d.parquet", "distribution")) == 1000
