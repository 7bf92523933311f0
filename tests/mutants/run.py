"""Change the package as the table tells, one mutant at a time: the default tests must notice.

`python tests/mutants/run.py [words]` runs the mutants whose description or module holds one of the
words; all without any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
TABLE = Path(__file__).with_name("table.txt")
OUTCOMES = {0: "SURVIVED", 1: "caught"}  # by pytest's exit code


class Mutant(NamedTuple):
    """One wrong change, and the test files that are expected to fail of it."""

    module: str  # below src/proxyscale
    tests: tuple[str, ...]  # below tests
    wrong: str  # what the mutant does
    old: str  # occurs once in the module
    new: str


def read_table(table: Path = TABLE) -> Iterator[Mutant]:
    """The mutants of the table, whose form its first lines tell."""
    module, tests = "", ()
    for block in table.read_text().split("\n\n")[1:]:
        first, *lines = block.strip("\n").splitlines()
        if first.startswith("== "):
            module, _, named = first.removeprefix("== ").partition(": ")
            tests = tuple(named.split())
            continue
        old, new = ("\n".join(s[2:] for s in lines if s.startswith(sign)) for sign in "-+")
        yield Mutant(module, tests, first, old, new)


def run_tests(source: Path, tests: tuple[str, ...]) -> int:
    """pytest's exit code with the package that lies in `source`."""
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    paths = [str(ROOT / "tests" / name) for name in tests]
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command + paths, env=environment, cwd=ROOT, capture_output=True)
    return done.returncode


def outcome(mutant: Mutant) -> str:
    """What becomes of a mutant in a copy of the package: caught, SURVIVED, or why neither."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
        path = source / "proxyscale" / mutant.module
        text = path.read_text()
        if text.count(mutant.old) != 1:
            return "NOT APPLIED: its text does not occur once"
        path.write_text(text.replace(mutant.old, mutant.new))
        code = run_tests(source, mutant.tests)
        return OUTCOMES.get(code, f"NO VERDICT: pytest ended with {code}")


def main(words: list[str]) -> int:
    """Run the mutants that the words name; 1 if any is not caught."""
    mutants = [m for m in read_table() if not words or any(w in m.module + m.wrong for w in words)]
    tests = tuple(dict.fromkeys(name for mutant in mutants for name in mutant.tests))
    if not mutants or run_tests(SOURCE, tests) != 0:
        print("no mutant is named so" if not mutants else "the tests fail without any mutant")
        return 1
    missed = 0
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        for mutant, found in zip(mutants, workers.map(outcome, mutants), strict=True):
            missed += found != OUTCOMES[1]
            print(f"{found:8} {mutant.module}: {mutant.wrong}", flush=True)
    print(f"{len(mutants) - missed} of {len(mutants)} mutants caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
