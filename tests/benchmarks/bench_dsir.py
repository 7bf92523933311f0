"""DSIR's counts and weights beside the `data-selection` package.

Texts are pieces of the standard library's source. The package needs nltk, regex and click.
"""

from __future__ import annotations

import functools
import importlib.util
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from timing import Row, compared, in_turns

from proxyscale.selection.dsir import BUCKETS, NgramCounter, log_importance

RAW, TARGET, CHARACTERS = 6000, 400, 300


def texts() -> list[str]:
    """Pieces of about the length of a row of 128 tokens."""
    pieces: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(errors="replace")
        pieces += [text[i : i + CHARACTERS] for i in range(0, len(text), CHARACTERS)]
    return [str(text) for text in np.random.default_rng(0).permutation(pieces)[: RAW + TARGET]]


def ours(raw: list[str], target: list[str]) -> tuple[np.ndarray, np.ndarray]:
    count = NgramCounter(BUCKETS)
    counts = count(raw)
    weights = log_importance(counts, count(target))
    return counts.sum(axis=0), weights


def package(raw: list[str], target: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """What HashedNgramDSIR does: counts of both sides to fit, then those of raw again to weigh."""
    from data_selection.hashed_ngram_dsir import get_ngram_counts

    sums = []
    for side in (raw, target):
        counts = np.zeros(BUCKETS, dtype=int)
        for text in side:
            counts = get_ngram_counts(text, n=2, num_buckets=BUCKETS, counts=counts)
        sums.append(counts)
    raw_p, target_p = (counts / counts.sum() for counts in sums)
    difference = np.log(target_p + 1e-8) - np.log(raw_p + 1e-8)
    weights = [np.dot(difference, get_ngram_counts(text, num_buckets=BUCKETS)) for text in raw]
    return sums[0], np.array(weights)


def measured(rounds: int) -> Iterator[Row]:
    """Megabytes a second. AssertionError where counts or weights differ."""
    every = texts()
    raw, target = every[TARGET:], every[:TARGET]
    works, peers = [functools.partial(ours, raw, target)], []
    if importlib.util.find_spec("data_selection"):
        works, peers = [*works, functools.partial(package, raw, target)], ["data-selection"]
        (counts, weights), (their_counts, their_weights) = (work() for work in works)
        assert np.array_equal(counts, their_counts)
        np.testing.assert_allclose(weights, their_weights, rtol=1e-10, atol=1e-10)
    size = sum(len(text.encode()) for text in every) / 1e6
    yield from compared("DSIR", "MB", size, in_turns(rounds, *works), peers)
