"""Examples are counted before days are spent."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.data.corpora import build_corpus
from proxyscale.data.enough import SAMPLE, bytes_a_token, check_pool, check_source
from proxyscale.data.pool import assemble, pack
from proxyscale.data.tokenizer import build_tokenizer

LENGTH = 32
CORPUS = {"holdout": 0.1, "target": 0.0, "seed": 0, "max_bytes": None, "documents": None}
CORPUS |= {"max_document_bytes": None, "minimum_length": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora of random words and their tokenizer."""
    root = tmp_path_factory.mktemp("enough")
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("aeioustrnl"), size)) for size in rng.integers(2, 9, 400)]
    for name, documents in (("a", 3000), ("b", 300)):
        lines = [f'{{"text": "{" ".join(rng.choice(words, 60))}"}}' for _ in range(documents)]
        (root / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        spec = {"kind": "files", "options": {"files": str(root / f"{name}.jsonl")}, **CORPUS}
        build_corpus(root / name, name, spec)
    tokenizer = {"train": "bpe", "vocabulary": 500, "sample_bytes": 50_000}
    build_tokenizer(root / "tokenizer.json", {"a": root / "a"}, tokenizer)
    return root


def spec(source: str, shards: int = 1, shard: int = 0) -> dict[str, object]:
    return {"source": source, "length": LENGTH, "shards": shards, "shard": shard}


def test_a_sample_foretells_the_rows(made: Path) -> None:
    pack(made / "packed", made / "a", made / "tokenizer.json", spec("a"))
    rows = artifacts.read_json(made / "packed" / "manifest.json")["rows"]
    held = artifacts.read_json(made / "a" / "manifest.json")["bytes"]["pool"]
    assert held > 3 * SAMPLE
    told = held / bytes_a_token(made / "a", made / "tokenizer.json") / LENGTH
    assert told == pytest.approx(rows, rel=0.02)
    check_source(made / "a", made / "tokenizer.json", spec("a"), int(0.98 * rows))
    with pytest.raises(UserError, match=rf"sources\.a: .* {int(1.2 * rows):,} are asked for"):
        check_source(made / "a", made / "tokenizer.json", spec("a"), int(1.2 * rows))


def test_a_shard_without_documents_is_told_to_be_one(made: Path) -> None:
    # a shard is whole groups of documents, of which little text has one
    check_source(made / "b", made / "tokenizer.json", spec("b", 2, 0), 400)
    with pytest.raises(UserError, match="not one row of 32") as error:
        pack(made / "shard", made / "b", made / "tokenizer.json", spec("b", 2, 0))
    assert "fewer shards" in str(error.value.hint)


def test_the_pool_tells_every_demand_that_it_does_not_meet(made: Path) -> None:
    for name in "ab":
        pack(made / f"pool/{name}", made / name, made / "tokenizer.json", spec(name))
    folders = {name: made / f"pool/{name}" for name in "ab"}
    pool = made / "pool/manifest.json"
    assemble(pool, folders)
    counts = [artifacts.read_json(made / f"pool/{n}/manifest.json")["rows"] for n in "ab"]
    met = [("x", ["a"], counts[0]), ("y", ["a", "b"], sum(counts))]
    check_pool(pool, met)
    demands = [(where, sources, rows + 1) for where, sources, rows in met]
    with pytest.raises(UserError) as caught:
        check_pool(pool, demands)
    for where, rows in zip("xy", itertools.accumulate(counts), strict=True):
        assert f"{where}: asks for {rows + 1:,} examples" in str(caught.value)
