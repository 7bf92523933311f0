"""Copies planted in training documents are found through the whole way, whatever asks for them."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.made_tasks import build_test_set
from support.tokenizers_by_family import FAMILIES

from proxyscale.base import artifacts
from proxyscale.data.corpora import build_corpus
from proxyscale.data.pool import assemble, pack
from proxyscale.data.tokenizer import build_tokenizer

RNG = np.random.default_rng(11)
MADE = ["".join(RNG.choice(list("ainrsto"), RNG.integers(3, 9))) for _ in range(1500)]
COUNT, SIZES = 60, (8, 12, 30, 60, 150)
LENGTH = 1024


def said(count: int) -> list[str]:
    return [str(word) for word in RNG.choice(MADE, count)]


PASSAGES = [said(SIZES[n % len(SIZES)]) for n in range(COUNT)]
SHUFFLED = [[str(word) for word in RNG.permutation(passage)] for passage in PASSAGES]


def document(number: int) -> str:
    """A passage at the beginning, in the middle or at the end of other words."""
    words = " ".join(PASSAGES[number]).capitalize()
    before, after = (" ".join(said(40)) for _ in range(2))
    return [f"{words}. {after}", f"{before}\n\n{words}, {after}", f"{before}: {words}"][number % 3]


def halved(words: list[str], last: int) -> tuple[str, str]:
    return " ".join(words[:-last]), " ".join(words[-last:])


def record(kind: str, words: list[str]) -> dict[str, Any]:
    """What is asked and answered has the words in their order."""
    asked, answer = halved(words, 1 if kind == "lambada" else 3)
    other = " ".join(said(3))
    match kind:
        case "lambada":
            return {"text": f"{asked} {answer}"}
        case "squad":
            passage = f"{' '.join(said(20))} {answer}"
            return {"context": passage, "question": asked, "answers": {"text": [answer]}}
        case "trivia":
            return {"question": asked, "answer": {"value": answer}}
        case "choices":
            return {"query": asked, "choices": [other, answer], "gold": 1}
        case "context_options":
            return {"context_options": [asked, other], "continuation": answer, "gold": 0}
    return {"context": asked, "continuation": answer}


KINDS = {"choices": "icl", "context_options": "icl", "continuation": "icl"}


@functools.cache
def pool(family: str, root: Path) -> dict[str, Any]:
    """Documents packed with a tokenizer of a family."""
    lines = (json.dumps({"text": document(n)}) + "\n" for n in range(COUNT))
    (root / "d.jsonl").write_text("".join(lines))
    options = {"files": str(root / "d.jsonl")}
    build_corpus(root / "corpus", "a", {"kind": "files", "options": options})
    FAMILIES[family]().save(str(root / "t.json"))
    build_tokenizer(root / "tokenizer.json", {}, {"file": str(root / "t.json")})
    pack(root / "pack", root / "corpus", root / "tokenizer.json", {"source": "a", "length": 64})
    assemble(root / "pool.json", {"a": root / "pack"})
    return {"corpora": {}, "tokenizer": root / "tokenizer.json", "pool": root / "pool.json"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        *((kind, "byte-level") for kind in ("lambada", "squad", "trivia", *KINDS)),
        *(("lambada", family) for family in FAMILIES if family != "byte-level"),
    ],
)
def test_planted_copies_are_dropped_and_shuffled_ones_are_not(
    root: Path, kind: str, family: str
) -> None:
    folder = root / family
    folder.mkdir(exist_ok=True)
    world, out = pool(family, folder), folder / kind
    out.mkdir()
    rows = [record(kind, words) for words in (*PASSAGES, *SHUFFLED)]
    (out / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {"kind": KINDS.get(kind, kind), "records": {"files": str(out / "r.jsonl")}}
    spec |= {"examples": 1000, "overlap_window": 8, "length": LENGTH, "seed": 0}
    build_test_set(out, spec, **world)
    told = artifacts.read_json(out / "manifest.json")["counts"]["holdout"]
    assert told["tested"] == 2 * COUNT
    assert told["in_pool"] == COUNT
    assert told["context_in_pool"] == 0
    left = artifacts.read(out / "holdout.parquet", "task").to_pylist()
    shown = [(row["prompt"] + row["continuation"]) for row in left if row["gold"]]
    mixed = [halved(words, 3)[0] for words in SHUFFLED]
    assert all(any(asked in text for asked in mixed) for text in shown)
