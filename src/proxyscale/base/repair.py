"""Before a workflow's graph is built: what is damaged below its results is set aside, and told.

Files that have not changed since the last look are not read again; jobs check what they open.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from proxyscale.base import lock, seals
from proxyscale.base.paths import CLAIM, NAME, own_files

# Folders of a study's results that hold nothing but what it made.
FOLDERS = (
    *("corpora", "tokenizer", "pool", "items", "overlap", "tasks", "distributions", "runs"),
    *("features", "scores", "selection", "rivals", "datamodels", "tables", "records"),
)
UNSEALED = frozenset({"foundry"})  # what llm-foundry works in
LEFT = "no-longer-made"  # the folder for what a study made and makes no longer


def repair(results: str, products: Iterable[str]) -> list[str]:
    """Set aside damaged files, so that the graph has them made again; what was done, in words.

    `products` lie in the results folder itself. Nothing is touched while another call is at work.
    """
    claim = Path(results) / CLAIM
    if not claim.is_dir() or (held := lock.briefly(results)) is None:
        return []
    last, now = claim / "checked", claim / "checking"
    since = last.stat().st_mtime_ns if last.exists() and _own(last) else 0
    now.touch()
    now.write_text(str(now.stat().st_ino))  # so that a copy of it is no look at a copy of the files
    looked = _changed(results, [*products, f"{results}/{NAME}"], since)
    told = [words for path in looked if (words := _judged(path))]
    now.replace(last)
    os.close(held)
    return told


def _own(mark: Path) -> bool:
    """Whether a mark was made where it lies."""
    return mark.read_text() == str(mark.stat().st_ino)


def _changed(results: str, products: Iterable[str], since: int) -> Iterable[Path]:
    """The study's files that are younger than a moment: of their content or of their names."""
    listed = [Path(entry) for folder in FOLDERS for entry in own_files(results, folder)]
    for path in sorted({*listed, *filter(Path.exists, map(Path, products))}):
        if path.suffix not in {*seals.SEALED, *seals.LINES} or path.name.startswith(lock.PARTIAL):
            continue
        if UNSEALED.isdisjoint(path.parts) and path.exists():
            status = path.stat()
            if max(status.st_ctime_ns, path.lstat().st_ctime_ns) >= since:
                yield path


def _judged(path: Path) -> str:
    wrong = seals.damage(path)
    return f"{path} is damaged: {wrong}; {seals.set_aside(path)}" if wrong else ""


def leave(results: str, products: Iterable[str]) -> list[str]:
    """Set aside what lies beside a study's products and is none of them any more; in words.

    What people read: figures, tables, the report. A file that carries no sum is somebody else's.
    """
    stems = {Path(path).with_suffix("") for path in products}
    places = [*Path(results).glob("*"), *Path(results, "tables").glob("*")]
    told = []
    for path in sorted(places):
        if path.with_suffix("") not in stems and path.is_file() and seals.carries_sum(path):
            aside = Path(results, LEFT, path.relative_to(results))
            aside.parent.mkdir(parents=True, exist_ok=True)
            seals.rename(path, aside)
            told.append(f"{path} is of an earlier form of this study; it is now {aside}")
    return told


@contextlib.contextmanager
def replacing(results: str) -> Iterator[str]:
    """A folder beside `results`, whose files take the places of theirs when the block ends.

    If it is ended before, they are as they were.
    """
    target = Path(results)
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield str(beside)
        if not target.exists():
            beside.rename(target)
            return
        for path in sorted(path for path in beside.rglob("*") if path.is_file()):
            place = target / path.relative_to(beside)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
