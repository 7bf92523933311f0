"""Memory and time of one pass over a text for six test sets: what grows with what.

Peaks of memory are those of what is allocated, as tracemalloc tells it: the text itself is mapped.
"""

from __future__ import annotations

import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from proxyscale.data.overlap import Sought, Tested
from proxyscale.data.overlap_search import search
from proxyscale.data.words import SEPARATOR

SETS = 6
WORDS = 200  # of an item with what is given with it


def text(path: Path, words: int) -> np.ndarray:
    """A file of random words, with a document's end after every 500 or so."""
    written = np.lib.format.open_memmap(path, "w+", np.uint32, (words,))
    rng = np.random.default_rng(0)
    for start in range(0, words, 1 << 22):
        part = written[start : start + (1 << 22)]
        part[:] = rng.integers(1, 1 << 32, len(part), np.uint32)
        part[rng.integers(0, len(part), len(part) // 500)] = SEPARATOR
    written.flush()
    return np.load(path, mmap_mode="r")


def sets(words: np.ndarray, items: int) -> list[Sought]:
    """Test sets of so many items each, half of whose words stand in the text."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(SETS):
        tested = []
        for start in rng.integers(0, len(words) - WORDS, items):
            part = np.array(words[start : start + WORDS])
            part[WORDS // 2 :] = rng.integers(1, 1 << 32, WORDS - WORDS // 2, np.uint32)
            tested.append(Tested(part[:10], part[10:14], part[14:]))
        found.append(Sought(tested, 8))
    return found


def main(root: Path) -> None:
    print(f"{'words of text':>14s} {'words sought':>13s} {'MB, peak':>9s} {'CPU s':>6s}")
    peaks: dict[tuple[int, int], float] = {}
    for size in (4 << 20, 32 << 20):
        words = text(root / f"{size}.npy", size)
        for items in (1_000, 8_000):
            tracemalloc.start()
            sought = sets(words, items)
            before = time.process_time()
            search(sought, words)
            seconds = time.process_time() - before
            peak = peaks[size, items] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            asked = SETS * items * WORDS
            print(f"{size:14,d} {asked:13,d} {peak / 1e6:9.0f} {seconds:6.1f}", flush=True)
    (few, many), (short, long) = (1_000, 8_000), (4 << 20, 32 << 20)
    by_text = (peaks[long, many] - peaks[short, many]) / (long - short)
    by_sought = (peaks[long, many] - peaks[long, few]) / (SETS * WORDS * (many - few))
    print(f"bytes for a word of text {by_text:.3f}, for a word sought {by_sought:.0f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
