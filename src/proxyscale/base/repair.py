"""Before a workflow's graph is built: what is damaged below its results is set aside, and told.

Files that have not changed since the last look are not read again; jobs check what they open.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from proxyscale.base import lock, seals
from proxyscale.base.paths import CLAIM, own_files

# Folders of a study's results that hold nothing but what it made.
FOLDERS = (
    *("corpora", "tokenizer", "pool", "tasks", "distributions", "runs", "features"),
    *("scores", "selection", "datamodels", "tables"),
)
UNSEALED = frozenset({"foundry"})  # what llm-foundry works in


def repair(results: str, products: Iterable[str]) -> list[str]:
    """Set aside damaged files, so that the graph has them made again; what was done, in words.

    `products` lie in the results folder itself. Nothing is touched while another call is at work.
    """
    claim = Path(results) / CLAIM
    if not claim.is_dir() or (held := lock.briefly(results)) is None:
        return []
    last, now = claim / "checked", claim / "checking"
    since = last.stat().st_mtime_ns if last.exists() else 0
    now.write_bytes(b"")
    told = [words for path in _changed(results, products, since) if (words := _judged(path))]
    now.replace(last)
    os.close(held)
    return told


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
