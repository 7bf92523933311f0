"""Every record accounted for: read = kept + dropped, by reason, with the first names of each.

What is kept is told from its copies by a hash of its content, which also decides its split: copies
in two sources meet on one side.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

NAMED = 3  # dropped records named for each reason


def content_key(data: bytes) -> int:
    """Hash of a record's content, u64."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def printable(name: str) -> str:
    """A name that can be written as UTF-8: bytes of a file's name that are not stand as \\xff."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


class RecordCounts:
    """Counts and splits the records of one source. `spec`: holdout, target (shares), seed."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.seed = spec.get("seed", 0)
        holdout, target = spec.get("holdout", 0.0), spec.get("target", 0.0)
        self.shares = {"holdout": holdout, "target": target, "pool": 1 - holdout - target}
        self.seen: set[int] = set()
        self.read = 0
        self.kept = dict.fromkeys(self.shares, 0)
        self.dropped: Counter[str] = Counter()
        self.named: dict[str, list[str]] = {}

    def drop(self, name: str, reason: str) -> None:
        """Count a record that is not kept."""
        self.read += 1
        self.dropped[reason] += 1
        named = self.named.setdefault(reason, [])
        if len(named) < NAMED:
            named.append(printable(name))

    def keep(self, name: str, key: int) -> str | None:
        """The split of a record by its content's key; None, and counted, for a duplicate."""
        if key in self.seen:
            self.drop(name, "duplicate")
            return None
        self.read += 1
        self.seen.add(key)
        split = self._split(key)
        self.kept[split] += 1
        return split

    def _split(self, key: int) -> str:
        place = content_key(f"{self.seed}:{key}".encode()) / 2**64
        if place < self.shares["holdout"]:
            return "holdout"
        return "target" if place < self.shares["holdout"] + self.shares["target"] else "pool"

    @property
    def total(self) -> int:
        """Records kept."""
        return sum(self.kept.values())

    def told(self) -> str:
        """What was dropped, in words; empty if nothing was."""
        parts = [f"{n} {word} ({self.named[word][0]} …)" for word, n in self.dropped.items()]
        return ", ".join(parts)

    def facts(self) -> dict[str, Any]:
        """What a manifest says: read, dropped by reason and the first names of each."""
        named = {"dropped_first": self.named}
        return {"read": self.read, "dropped": dict(self.dropped), **named}
