"""What became of all that was read: kept, or dropped for a reason, with the first ones named."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from proxyscale.base.errors import UserError
from proxyscale.data.formats import Dropped

NAMED = 3  # named for each reason
FIRST = 1000  # if all of so many cannot be used, the rest is not looked at


class Account:
    """Counts what was read and why some of it was dropped. The caller adds to `read`."""

    def __init__(self) -> None:
        self.read = self.broken = 0
        self.dropped: Counter[str] = Counter()
        self.named: dict[str, list[str]] = {}
        self.breaks: dict[str, Dropped] = {}  # the first of each reason

    def drop(self, item: Dropped, count: int = 1) -> None:
        """Count what is dropped. UserError if none of the first 1,000 could be used."""
        self.dropped[item.reason] += count
        named = self.named.setdefault(item.reason, [])
        if item.name and len(named) < NAMED:
            named.append(item.name)
        if item.broken:
            self.broken += 1
            self.breaks.setdefault(item.reason, item)
            if self.broken == self.read == FIRST:
                self.check("records")

    def told(self) -> str:
        """The reasons in words, with the first name of each."""
        shown = []
        for reason, count in self.dropped.items():
            first = f" ({self.named[reason][0]} …)" if self.named[reason] else ""
            shown.append(f"{count} {reason}{first}")
        return ", ".join(shown)

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
        raise UserError(
            message, where=first.name, value=word[1] if word else None, allowed=first.keys
        )

    def facts(self) -> dict[str, Any]:
        """For a manifest."""
        return {"read": self.read, "dropped": dict(self.dropped), "dropped_first": self.named}


def not_text(value: Any) -> str:
    """What a value is that should have been text."""
    words = {
        type(None): "null",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
        bytes: "bytes",
    }
    return f"{words.get(type(value), type(value).__name__)}, not text"
