"""The default study's sources: reading, tokenizing and packing, and the search for a test set.

Packing stands beside the tokenizer alone, `tokenizers` on one thread, which is the most that it can
be; the search beside looking every run of words up in a set, as one writes it first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from timing import Row, compared, in_turns

from proxyscale.base import arrays
from proxyscale.base.artifacts import read_json
from proxyscale.data.corpora import build_corpus
from proxyscale.data.documents import read_documents
from proxyscale.data.overlap import Sought, Tested
from proxyscale.data.overlap_search import search
from proxyscale.data.pool import pack
from proxyscale.data.tokenizer import build_tokenizer
from proxyscale.data.tokens import load_tokenizer
from proxyscale.data.words import words

DOCS = ["numpy", "scipy", "matplotlib", "pandas", "networkx", "torch", "mpmath"]
HEADERS = ["torch/include/ATen/ops/*", "torch/include/pybind11/*", "*_ops.h"]
SOURCES: dict[str, dict[str, Any]] = {
    "docs": {"installed": DOCS, "part": "docstrings"},
    "stdlib": {"installed": "stdlib", "part": "code"},
    "tests": {"installed": ["numpy", "scipy", "pandas", "sympy"], "part": "tests"},
    "headers": {"installed": "torch", "part": "headers", "exclude": HEADERS},
    "algebra": {"installed": "sympy", "part": "code"},
    "ml": {"installed": "torch", "part": "code", "strip_docstrings": True},
}
RUN = 8  # words, as Sought has it
LIMITS = {"holdout": 0.08, "target": 0.06, "max_bytes": 5_200_000, "max_document_bytes": 60_000}


def looked_up(sought: set[bytes], said: np.ndarray) -> int:
    """How many runs of so many words are among those sought."""
    return sum(said[i : i + RUN].tobytes() in sought for i in range(len(said) - RUN + 1))


def measured(rounds: int) -> Iterator[Row]:
    """Megabytes of text a second."""
    with tempfile.TemporaryDirectory() as name:
        yield from _measured(Path(name), rounds)


def _measured(root: Path, rounds: int) -> Iterator[Row]:
    corpora = {name: root / "corpora" / name for name in SOURCES}

    def read() -> None:
        for name, options in SOURCES.items():
            spec = {"kind": "installed", "options": options, **LIMITS}
            build_corpus(corpora[name], name, spec)

    reading = in_turns(1, read)
    each = [read_json(path / "manifest.json")["bytes"] for path in corpora.values()]
    size = sum(sum(splits.values()) for splits in each) / 1e6
    yield from compared("reading", "MB", size, reading)
    size = sum(splits["pool"] for splits in each) / 1e6
    tokenizer = root / "tokenizer.json"
    build_tokenizer(
        tokenizer, corpora, {"train": "bpe", "vocabulary": 1024, "sample_bytes": 4_000_000}
    )

    def packing() -> None:
        for name in SOURCES:
            spec = {"source": name, "length": 128}
            pack(root / "packs" / name, corpora[name], tokenizer, spec)

    texts = [text for path in corpora.values() for _, text in read_documents(path, "pool")]
    bare = load_tokenizer(tokenizer)

    def tokens() -> None:
        for text in texts:
            bare.encode(text, add_special_tokens=False)

    yield from compared(
        "packing", "MB", size, in_turns(rounds, packing, tokens), ["tokenizers alone"]
    )
    said = np.concatenate([arrays.read(root / "packs" / name / "words.npy") for name in SOURCES])
    passage = words("one two three four five six seven eight")
    sought = [Sought([Tested(passage, passage[:0], passage[:0])], RUN)]
    works = (lambda: search(sought, said), lambda: looked_up({passage.tobytes()}, said))
    peers = ["set of runs"]
    yield from compared("search for a test set", "MB", size, in_turns(rounds, *works), peers)
