"""Every speed in one table: ours, a named peer's, their ratio, the share of the machine's limit.

python tests/benchmarks/bench.py [NAMES] [--rounds 3] [--out results/benchmarks.csv]

CPU seconds on one thread, medians of rounds in which ours and the peers take turns; a ratio is the
median of the rounds' ratios. NAMES choose among the files `bench_*.py` beside this one. A peer that
is not installed is left out (`make bench` installs them). The table is left in a file, and a later
run is held against it: on the same machine by rates, on another one by ratios.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from timing import Row, cpu_name, read, told, write

FOUND = sorted(
    path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")
)


def main() -> None:
    """Print the table line by line, and leave it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(FOUND)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks.csv"))
    said = parser.parse_args()
    if unknown := set(said.names) - set(FOUND):
        parser.error(
            f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(FOUND)}"
        )
    before = read(said.out)
    print(cpu_name())
    print(f"{'':34s} {'ours':>21s} {'peer':22s} {'theirs':>8s} {'ratio':>6s} {'limit':>6s}")
    rows: list[Row] = []
    for name in said.names or FOUND:
        for row in importlib.import_module(f"bench_{name}").measured(said.rounds):
            rows.append(row)
            print(told(row, before.get((row.what, row.peer))), flush=True)
            write(said.out, rows, before)


if __name__ == "__main__":
    main()
