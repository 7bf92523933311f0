"""The default study's sources: reading, tokenizing and packing, and the search for a test set.

Packing stands beside the tokenizer alone, `tokenizers` on one thread, which is the most that it can
be; the search beside looking every run of words up in a set, as one writes it first. Beside both
stand the steps of datatrove's that do the same, where it is installed.
"""

from __future__ import annotations

import importlib.util
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from timing import Row, Work, compared, in_turns

from proxyscale.base import arrays
from proxyscale.base.artifacts import read_json
from proxyscale.data.corpora import build_corpus
from proxyscale.data.documents import read_documents
from proxyscale.data.overlap import Sought, Tested
from proxyscale.data.overlap_search import search
from proxyscale.data.packing import END
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


def by_datatrove(root: Path, tokenizer: Path, texts: list[str], passage: str) -> list[Work]:
    """Its tokenizing into a file, and its filter of runs of words, which are what spaces part."""
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
    from datatrove.pipeline.tokens import DocumentTokenizer
    from datatrove.utils.word_tokenizers import WordTokenizer
    from loguru import logger

    class Spaces(WordTokenizer):
        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

        sent_tokenize = span_tokenize = word_tokenize  # which are not asked for

    def hashed(text: str) -> int:  # its own needs a version of xxhash that takes text
        return xxhash.xxh64_intdigest(text.encode())

    logger.remove()
    documents = [Document(text, str(number)) for number, text in enumerate(texts)]
    config = NGramsDecontConfig(n_grams=RUN)
    (root / "runs").mkdir()
    np.array([hashed(passage)], config.hash_config.np_descr).tofile(root / "runs/task.index.hashes")
    load_tokenizer(tokenizer).save(str(root / "plain.json"))  # without the sum that ours has
    numbers = itertools.count()

    def tokenizing() -> None:
        DocumentTokenizer(
            str(root / f"tokens{next(numbers)}"),
            str(root / "plain.json"),
            eos_token=END,
            shuffle_documents=False,
        ).run(iter(documents))

    def filtering() -> None:
        filtered = NGramsDecontFilter(str(root / "runs"), config, language=Spaces())
        filtered.hash_func = hashed
        for document in documents:
            filtered.filter(document)

    return [tokenizing, filtering]


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

    passage = "one two three four five six seven eight"
    own = words(passage)
    sought = [Sought([Tested(own, own[:0], own[:0])], RUN)]

    def splitting() -> None:
        search(sought, np.concatenate([words(text) for text in texts]))

    there = importlib.util.find_spec("datatrove") is not None
    theirs = by_datatrove(root, tokenizer, texts, passage) if there else []
    named = ["datatrove"] * there
    taken = in_turns(rounds, packing, tokens, *theirs[:1])
    yield from compared("packing", "MB", size, taken, ["tokenizers alone", *named])
    taken = in_turns(rounds, splitting, *theirs[1:])
    yield from compared("search in text", "MB", size, taken, named)
    said = np.concatenate([arrays.read(root / "packs" / name / "words.npy") for name in SOURCES])
    pair = (lambda: search(sought, said), lambda: looked_up({own.tobytes()}, said))
    yield from compared(
        "search in packed words", "MB", size, in_turns(rounds, *pair), ["set of runs"]
    )
