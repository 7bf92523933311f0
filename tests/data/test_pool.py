"""Tokenizers, packing and the pool: no token lost, no text mistaken, no row out of place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from proxyscale.base import arrays, artifacts
from proxyscale.base.errors import UserError
from proxyscale.data import packing as rows_module
from proxyscale.data.packing import END, window_hashes
from proxyscale.data.pool import (
    Pool,
    assemble,
    pack,
)
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.data.tokens import load_tokenizer
from proxyscale.data.words import SEPARATOR, words

WORDS = ["the", "cat", "sat", "mat", "über", "数据", "данные", END, "x = f(y)", "\n\n", "  "]


def texts(seed: int, count: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 200))) for _ in range(count)]


def corpus(folder: Path, documents: list[str], split: str = "pool") -> Path:
    table = pa.table(
        {
            "document": range(len(documents)),
            "name": [str(i) for i in range(len(documents))],
            "text": documents,
            "hash": range(len(documents)),
            "split": [split] * len(documents),
        }
    )
    artifacts.write(folder / "documents.parquet", table, "documents")
    account = {
        "read": len(documents) + 1,
        "dropped": {"empty": 1},
        "dropped_first": {"empty": ["x"]},
    }
    artifacts.write_manifest(folder / "manifest.json", [folder / "documents.parquet"], **account)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora, a tokenizer, their packs and the pool."""
    root = tmp_path_factory.mktemp("pool")
    corpora = {name: corpus(root / name, texts(i, 60)) for i, name in enumerate("ab")}
    spec = {"train": "bpe", "vocabulary": 300, "sample_bytes": 20_000}
    build_tokenizer(root / "tokenizer.json", corpora, spec)
    for name, folder in corpora.items():
        spec = {"source": name, "length": 16}
        pack(root / "packs" / name, folder, root / "tokenizer.json", spec)
    assemble(root / "pool" / "manifest.json", {name: root / "packs" / name for name in corpora})
    return root


def test_the_tokenizer_is_lossless_and_of_the_size_asked(made: Path) -> None:
    tokenizer = load_tokenizer(made / "tokenizer.json")
    assert tokenizer.get_vocab_size() == 300
    assert tokenizer.token_to_id(END) == 0
    for text in texts(5, 20):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert 0 not in ids  # end-of-text written in a text is text
        assert tokenizer.decode(ids) == text


def test_training_is_deterministic(made: Path, tmp_path: Path) -> None:
    spec = {"train": "bpe", "vocabulary": 300, "sample_bytes": 20_000}
    build_tokenizer(tmp_path / "again.json", {name: made / name for name in "ab"}, spec)
    assert (tmp_path / "again.json").read_bytes() == (made / "tokenizer.json").read_bytes()


def test_a_corpus_too_small_for_the_vocabulary_still_gives_it(tmp_path: Path) -> None:
    spec = {"train": "bpe", "vocabulary": 1024}
    build_tokenizer(tmp_path / "t.json", {"a": corpus(tmp_path / "a", ["tiny"])}, spec)
    assert load_tokenizer(tmp_path / "t.json").get_vocab_size() == 1024


def test_a_local_tokenizer_is_completed_and_padded(made: Path, tmp_path: Path) -> None:
    local = Tokenizer(models.BPE({"?": 0}, [], unk_token="?"))
    local.pre_tokenizer = pre_tokenizers.ByteLevel()
    local.add_tokens(["a", "b"])
    local.enable_truncation(3)
    local.save(str(tmp_path / "local.json"))
    spec = {"file": str(tmp_path / "local.json"), "pad_vocabulary_to": 64}
    build_tokenizer(tmp_path / "t.json", {}, spec)
    tokenizer = load_tokenizer(tmp_path / "t.json")
    assert tokenizer.get_vocab_size() == 64
    assert tokenizer.token_to_id(END) is not None
    assert len(tokenizer.encode("abababab").ids) == 8


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"train": "bpe", "vocabulary": 200}, "needs more than 256"),
        ({"file": "no/such.json"}, "no such file"),
        ({"file": "bad"}, "not a tokenizer"),
        ({"file": "local", "pad_vocabulary_to": 10}, "has 300 entries already"),
        ({"hub": "EleutherAI/gpt-neox-20b", "revision": "main"}, "pinned revision"),
        ({"hub": "EleutherAI/gpt-neox-20b"}, "pinned revision"),
    ],
)
def test_mistakes_about_tokenizers(
    made: Path, tmp_path: Path, spec: dict[str, Any], message: str
) -> None:
    (tmp_path / "bad.json").write_text(json.dumps({"version": "1.0"}))
    places = {"bad": tmp_path / "bad.json", "local": made / "tokenizer.json"}
    spec = {**spec, "file": str(places.get(spec["file"], spec["file"]))} if "file" in spec else spec
    with pytest.raises(UserError, match=message):
        build_tokenizer(tmp_path / "t.json", {"a": made / "a"}, spec)


@pytest.mark.parametrize("held", [1, 50, 1 << 20])
def test_rows_are_the_documents_one_after_the_other(
    made: Path, tmp_path: Path, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "HELD", held)
    tokenizer = load_tokenizer(made / "tokenizer.json")
    documents = texts(9, 30)
    encoded = [[*tokenizer.encode(t, add_special_tokens=False).ids, 0] for t in documents]
    stream = [token for tokens in encoded for token in tokens]
    owner = [number for number, tokens in enumerate(encoded) for _ in tokens]
    expected: dict[tuple[int, ...], int] = {}
    for start in range(0, len(stream) - 15, 16):
        expected.setdefault(tuple(stream[start : start + 16]), owner[start])
    folder = corpus(tmp_path / "c", documents)
    pack(tmp_path / "p", folder, made / "tokenizer.json", {"source": "c", "length": 16})
    rows = np.load(tmp_path / "p/inputs.npy")
    index = artifacts.read(tmp_path / "p/index.parquet", "index")
    manifest = artifacts.read_json(tmp_path / "p/manifest.json")
    assert rows.dtype == np.uint16
    assert [tuple(row) for row in rows.tolist()] == list(expected)
    assert index["document"].to_pylist() == list(expected.values())
    assert index["hash"].to_pylist() == window_hashes(rows, 16)[:, 0].tolist()
    duplicates = len(stream) // 16 - len(expected)
    partial = len(stream) % 16
    assert manifest["dropped"] == {"duplicate rows": duplicates, "tokens of a partial row": partial}


def test_duplicate_rows_are_dropped_and_counted(made: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(made / "tokenizer.json")
    text = " mat" * 4000
    count = len(tokenizer.encode(text).ids) // 16
    pack(
        tmp_path / "p",
        corpus(tmp_path / "c", [text]),
        made / "tokenizer.json",
        {"source": "c", "length": 16},
    )
    manifest = artifacts.read_json(tmp_path / "p/manifest.json")
    assert manifest["rows"] + manifest["dropped"]["duplicate rows"] == count
    assert manifest["rows"] < 20


def test_only_the_pool_is_packed_and_one_row_is_needed(made: Path, tmp_path: Path) -> None:
    for documents, split in ((["short"], "pool"), (texts(1, 9), "holdout")):
        folder = corpus(tmp_path / split, documents, split)
        with pytest.raises(UserError, match="not one row of 16"):
            pack(tmp_path / "p", folder, made / "tokenizer.json", {"source": "c", "length": 16})


def test_a_large_vocabulary_takes_four_bytes(made: Path, tmp_path: Path) -> None:
    spec = {"file": str(made / "tokenizer.json"), "pad_vocabulary_to": 65_536}
    build_tokenizer(tmp_path / "t.json", {}, spec)
    pack(tmp_path / "p", made / "a", tmp_path / "t.json", {"source": "a", "length": 16})
    rows = np.load(tmp_path / "p/inputs.npy")
    assert rows.dtype == np.uint32
    assert np.array_equal(rows, np.load(made / "packs/a/inputs.npy"))


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=9, max_size=9), min_size=1, max_size=6),
    st.integers(1, 12),
)
def test_windows_hash_alike_exactly_when_they_are_alike(rows: list[list[int]], size: int) -> None:
    tokens = np.array(rows, np.uint16)
    hashes = window_hashes(tokens, size)
    assert hashes.shape == (len(rows), max(10 - size, 0))
    assert hashes.dtype == np.uint64
    windows = [tuple(row[i : i + size]) for row in rows for i in range(10 - size)]
    pairs = set(zip(windows, hashes.ravel().tolist(), strict=True))
    assert len(pairs) == len(set(windows)) == len(set(hashes.ravel().tolist()))
    assert np.array_equal(hashes, window_hashes(tokens.astype(np.uint32), size))


def test_window_hashes_spread_over_their_range() -> None:
    tokens = np.random.default_rng(0).integers(0, 1024, (2000, 128))
    hashes = window_hashes(tokens, 32)
    assert len(np.unique(hashes)) == hashes.size
    for shift in (0, 24, 56):
        bits = (hashes >> np.uint64(shift)) & np.uint64(255)
        counts = np.bincount(bits.ravel().astype(int), minlength=256)
        expected = hashes.size / 256
        # Chi-squared with 255 degrees of freedom: mean 255, standard deviation 22.6.
        assert 255 - 6 * 22.6 < ((counts - expected) ** 2 / expected).sum() < 255 + 6 * 22.6


def test_the_pool_puts_sources_side_by_side(made: Path) -> None:
    pool = Pool.open(made / "pool/manifest.json")
    shards = [np.load(made / "packs" / name / "inputs.npy") for name in "ab"]
    together = np.concatenate(shards)
    assert (pool.sources, pool.length, pool.vocabulary) == (["a", "b"], 16, 300)
    assert len(pool) == len(together) == sum(pool.counts.values())
    assert pool.counts == {"a": len(shards[0]), "b": len(shards[1])}
    ids = np.random.default_rng(0).integers(0, len(pool), 500)
    assert np.array_equal(pool.rows(ids), together[ids])
    assert np.array_equal(pool.source_of(ids), ids >= len(shards[0]))
    assert [*pool.ids_of("a"), *pool.ids_of("b")] == list(range(len(pool)))
    assert pool.rows(np.array([], np.int64)).shape == (0, 16)
    for source in artifacts.read_json(made / "pool/manifest.json")["sources"]:
        assert (source["account"]["read"], source["account"]["dropped"]) == (61, {"empty": 1})


def test_the_pool_refuses_what_it_has_not(made: Path) -> None:
    pool = Pool.open(made / "pool/manifest.json")
    for wrong in (-1, len(pool)):
        with pytest.raises(IndexError):
            pool.rows(np.array([0, wrong]))
    with pytest.raises(UserError, match="no source 'c'"):
        pool.ids_of("c")


def test_the_words_of_all_documents_lie_beside_the_rows(made: Path) -> None:
    for number, name in enumerate("ab"):
        found = arrays.read(made / "packs" / name / "words.npy")
        ends = np.flatnonzero(found == SEPARATOR)
        held = [part[part != SEPARATOR] for part in np.split(found, ends)[:-1]]
        assert len(held) == 60
        for text, own in zip(texts(number, 60), held, strict=True):
            assert np.array_equal(words(text), own)


def test_packs_of_two_tokenizers_do_not_mix(made: Path, tmp_path: Path) -> None:
    pack(tmp_path / "c", made / "a", made / "tokenizer.json", {"source": "c", "length": 8})
    with pytest.raises(UserError, match="another length or tokenizer"):
        assemble(tmp_path / "m.json", {"a": made / "packs/a", "c": tmp_path / "c"})


def test_manifests_hold_no_paths_of_the_machine(made: Path) -> None:
    for path in made.rglob("manifest.json"):
        assert str(made) not in path.read_text()
