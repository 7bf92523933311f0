"""Dry runs of a workflow, by a process that has loaded Snakemake and what it reads with once.

Most of a dry run's time is Python's own start. The package is never loaded beforehand: the workflow
may hold a copy of its own. So nothing of it is imported here.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path

from support.paths import ROOT

LOADED = multiprocessing.get_context("forkserver")
LOADED.set_forkserver_preload(
    ["snakemake.cli", "pandas", "pyarrow.parquet", "pydantic", "scipy.stats", "psutil"]
)


def dry_run(folder: Path, *arguments: str) -> str:
    """What `snakemake --dry-run` says in a folder, or AssertionError."""
    code, said = ended(folder, *arguments)
    assert code == 0, said
    return said


def ended(folder: Path, *arguments: str) -> tuple[int | None, str]:
    """How `snakemake --dry-run` ends in a folder, and what it says."""
    return _ended(_snakemake, folder, "--dry-run", *arguments)


def proxyscale(folder: Path, *arguments: str) -> str:
    """What a command for people says in the folder of a workflow, or AssertionError."""
    code, said = _ended(_proxyscale, folder, *arguments)
    assert code == 0, said
    return said


def _ended(
    main: Callable[[list[str]], None], folder: Path, *arguments: str
) -> tuple[int | None, str]:
    said = folder / ".dry-run"
    job = LOADED.Process(target=_called, args=(main, folder, list(arguments), said))
    job.start()
    job.join()
    return job.exitcode, said.read_text()


def _called(
    main: Callable[[list[str]], None], folder: Path, arguments: list[str], said: Path
) -> None:
    os.chdir(folder)
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path[:] = [entry for entry in sys.path if entry != str(ROOT / "src")]
    with said.open("w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    assert "proxyscale" not in sys.modules
    main(arguments)


def _snakemake(arguments: list[str]) -> None:
    from snakemake.cli import main

    main(arguments)


def _proxyscale(arguments: list[str]) -> None:
    source = os.path.abspath("src")
    sys.path.insert(0, source)
    os.environ["PYTHONPATH"] = source
    from proxyscale.cli.main import main

    sys.exit(main(arguments))
