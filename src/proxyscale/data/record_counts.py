"""Every record accounted for: read = kept + dropped, by reason, with the first names of each.

What is kept is told from its copies by a hash of its content, which also decides its split: copies
in two sources meet on one side.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.data.accounts import dropped_told
from proxyscale.data.raw_record import Dropped, printable

NOT_UTF8 = "not UTF-8"
NAMED = 3  # dropped records named for each reason
FIRST = 1000  # if all of so many cannot be used, the rest is not looked at


def content_key(data: bytes) -> int:
    """Hash of a record's content, u64."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


class RecordCounts:
    """Counts what was read and why some of it was dropped; the caller adds to `read`."""

    def __init__(self) -> None:
        self.read = self.broken = 0
        self.dropped: Counter[str] = Counter()
        self.named: dict[str, list[str]] = {}
        self.breaks: dict[str, Dropped] = {}  # the first of each reason

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> RecordCounts:
        """Counts that `facts` told, to go on with."""
        counts = cls()
        counts.read, counts.dropped = facts["read"], Counter(facts["dropped"])
        counts.named = {reason: list(names) for reason, names in facts["dropped_first"].items()}
        return counts

    def drop(self, item: Dropped, count: int = 1) -> None:
        """Count what is dropped. UserError if none of the first 1,000 could be used."""
        self.dropped[item.reason] += count
        named = self.named.setdefault(item.reason, [])
        if item.name and len(named) < NAMED:
            named.append(printable(item.name))
        if item.broken:
            self.broken += 1
            self.breaks.setdefault(item.reason, item)
            if self.broken == self.read == FIRST:
                self.check("records")

    def told(self) -> str:
        """The reasons in words, with the first name of each."""
        return dropped_told(self.dropped, self.named)

    def check(self, what: str) -> None:
        """UserError if more than half of what was read could not be used as it is."""
        if 2 * self.broken <= self.read:
            return
        worst = max(self.breaks, key=lambda reason: self.dropped[reason])
        first = self.breaks[worst]
        message = worst
        if self.dropped[worst] < self.read:
            others = [f"{self.dropped[r]} {r} ({one.name})" for r, one in self.breaks.items()]
            message = f"{self.broken} of {self.read} {what} cannot be used: {', '.join(others)}"
        word = re.search(r"'([^']*)'", worst)
        value = word[1] if word else None
        raise UserError(message, where=first.name, value=value, allowed=first.keys, hint=self.hint)

    @property
    def hint(self) -> str | None:
        """What may mend what could not be used."""
        return "in which encoding is it? encoding: latin-1" if NOT_UTF8 in self.breaks else None

    def facts(self) -> dict[str, Any]:
        """For a manifest."""
        return {"read": self.read, "dropped": dict(self.dropped), "dropped_first": self.named}


class SplitCounts(RecordCounts):
    """Splits what is kept, too, each content once. `spec`: holdout, target (shares), seed."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__()
        self.seed = spec.get("seed", 0)
        holdout, target = spec.get("holdout", 0.0), spec.get("target", 0.0)
        self.shares = {"holdout": holdout, "target": target, "pool": 1 - holdout - target}
        self.seen: set[int] = set()
        self.kept = dict.fromkeys(self.shares, 0)

    def keep(self, name: str, key: int) -> str | None:
        """The split of a record by its content's key; None, and counted, for a duplicate."""
        if key in self.seen:
            self.drop(Dropped(name, "duplicate"))
            return None
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
