"""The report's section on what to train next: a proposal and a plan in words, and the picture."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any


def decisions_words(decided: Sequence[Mapping[str, Any]]) -> str:
    """What records of a proposal and a plan tell, as paragraphs."""
    told = [line for record in decided for line in record["told"]]
    return "".join(f"<p>{html.escape(line)}</p>" for line in told)
