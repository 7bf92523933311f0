"""CPU seconds to read the default study's sources and to pack them, one process after the other."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from proxyscale.base import arrays
from proxyscale.base.artifacts import read_json
from proxyscale.data.corpora import build_corpus
from proxyscale.data.overlap import Sought, Tested
from proxyscale.data.overlap_search import search
from proxyscale.data.pool import Pool, assemble, pack
from proxyscale.data.tokenizer import build_tokenizer
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
LIMITS = {"holdout": 0.08, "target": 0.06, "max_bytes": 5_200_000, "max_document_bytes": 60_000}


def main(root: Path) -> None:
    total = 0.0

    def timed(what: str, function: Any, *arguments: Any) -> None:
        nonlocal total
        start = time.process_time()
        function(*arguments)
        seconds = time.process_time() - start
        total += seconds
        print(f"{what:20s} {seconds:6.2f} CPU s", flush=True)

    corpora = {name: root / "corpora" / name for name in SOURCES}
    packs = {name: root / "packs" / name for name in SOURCES}
    for name, options in SOURCES.items():
        spec = {"kind": "installed", "options": options, **LIMITS}
        timed(f"corpus {name}", build_corpus, corpora[name], name, spec)
    tokenizer = root / "tokenizer.json"
    bpe = {"train": "bpe", "vocabulary": 1024, "sample_bytes": 4_000_000}
    timed("tokenizer", build_tokenizer, tokenizer, corpora, bpe)
    for name in SOURCES:
        spec = {"source": name, "length": 128}
        timed(f"pack {name}", pack, packs[name], corpora[name], tokenizer, spec)
    assemble(root / "pool.json", packs)
    pool = Pool.open(root / "pool.json")
    passage = words("one two three four five six seven eight")
    sought = [Sought([Tested(passage, passage[:0], passage[:0])], 8)]
    for name in SOURCES:
        said = arrays.read(packs[name] / "words.npy", "r")
        timed(f"overlap {name}", search, sought, said)
    print(f"{'total':20s} {total:6.2f} CPU s, {len(pool)} rows of {pool.length}")
    for name in SOURCES:
        corpus, rows = read_json(corpora[name] / "manifest.json"), pool.counts[name]
        print(f"{name:8s} {rows:6d} rows", corpus["documents"], corpus["dropped"], corpus["cut"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
