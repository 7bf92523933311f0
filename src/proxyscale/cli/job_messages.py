"""The one line that a finished job leaves behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from proxyscale.base import artifacts
from proxyscale.base.progress import quantity

SPLITS = ("holdout", "target")


def corpus_line(out: Path) -> str:
    """Documents, bytes and what was dropped of a corpus."""
    facts = artifacts.read_json(out / "manifest.json")
    documents, size = sum(facts["documents"].values()), sum(facts["bytes"].values())
    return _joined([f"{documents:,} documents", f"{quantity(size)}B", _dropped(facts["dropped"])])


def pack_line(out: Path) -> str:
    """Rows of a pack and what was dropped."""
    facts = artifacts.read_json(out / "manifest.json")
    rows = f"{facts['rows']:,} examples of {facts['length']} tokens"
    return _joined([rows, _dropped(facts["dropped"])])


def task_line(out: Path) -> str:
    """Examples of both splits of a task and what was dropped."""
    counts = artifacts.read_json(out / "manifest.json")["counts"]
    kept = [f"{counts[split]['kept']:,} {split}" for split in SPLITS if split in counts]
    lost: dict[str, int] = {}
    for split in counts.values():
        for reason in ("too_long", "empty", "not_unicode", "duplicates", "in_pool", "in_holdout"):
            lost[reason] = lost.get(reason, 0) + split.get(reason, 0)
    return _joined([", ".join(kept), _dropped(lost)])


def rows_line(path: Path, what: str) -> str:
    """The number of rows of a table."""
    return f"{pq.read_metadata(path).num_rows:,} {what}"


def _dropped(reasons: Mapping[str, int]) -> str:
    told = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in reasons.items() if count]
    return f"dropped: {', '.join(told)}" if told else ""


def _joined(parts: Iterable[str]) -> str:
    return " · ".join(part for part in parts if part)
