"""CPU seconds of DSIR's counts and weights beside the `data-selection` package, on one thread.

Texts are pieces of the standard library's source. The package (with nltk 3.9.1, regex, click)
may lie anywhere on PYTHONPATH; without it our own time alone is printed.
Run as a script: python tests/benchmarks/bench_dsir.py
"""

from __future__ import annotations

import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from proxyscale.selection.dsir import BUCKETS, NgramCounter, log_importance

RAW, TARGET, CHARACTERS = 6000, 400, 300


def texts() -> list[str]:
    """Pieces of about the length of a row of 128 tokens."""
    pieces: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(errors="replace")
        pieces += [text[i : i + CHARACTERS] for i in range(0, len(text), CHARACTERS)]
    return [str(text) for text in np.random.default_rng(0).permutation(pieces)[: RAW + TARGET]]


def timed(
    function: Callable[[], tuple[np.ndarray, np.ndarray]],
) -> tuple[float, np.ndarray, np.ndarray]:
    start = time.process_time()
    counts, weights = function()
    return time.process_time() - start, counts, weights


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


def main() -> None:
    every = texts()
    raw, target = every[TARGET:], every[:TARGET]
    seconds, counts, weights = timed(lambda: ours(raw, target))
    print(f"{'DSIR':16s} {'CPU s':>8s} {'texts/s':>9s}")
    print(f"{'proxyscale':16s} {seconds:8.2f} {len(raw) / seconds:9.0f}")
    try:
        theirs, their_counts, their_weights = timed(lambda: package(raw, target))
    except ImportError as error:
        print(f"data-selection is not here ({error})")
        return
    assert np.array_equal(counts, their_counts)
    assert np.allclose(weights, their_weights, rtol=1e-10, atol=1e-10)
    print(f"{'data-selection':16s} {theirs:8.2f} {len(raw) / theirs:9.0f}")
    print(f"ratio {theirs / seconds:.1f}, counts identical, weights equal to 1e-10")


if __name__ == "__main__":
    main()
