"""What became of the records of corpora and test sets, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def dropped_told(dropped: Mapping[str, int], named: Mapping[str, Sequence[str]]) -> str:
    """How many were dropped for which reason, with the first name of each."""
    shown = []
    for reason, count in dropped.items():
        more = " …" if count > 1 else ""
        first = f" ({named[reason][0]}{more})" if named.get(reason) else ""
        shown.append(f"{count:,} {reason}{first}" if count else "")
    return ", ".join(filter(None, shown))


def prior_told(prior: Mapping[str, Any]) -> str:
    """What `prior` says, in words."""
    return (
        f"all examples have the same {prior['choices']} choices, of which one is right in "
        f"{prior['commonest']:.0%}: losses mostly measure how common each answer is"
    )
