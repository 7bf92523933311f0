"""Sizes as people write them: 350M, 7e9, 1.3b, EleutherAI/pythia-70m, 4.84e19 FLOPs."""

from __future__ import annotations

import math
import re

UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
WHOLE = re.compile(
    r"~?(?P<number>\d{1,3}(?:,\d{3}){2,}|\d+(?:[.,]\d+)?(?:e[+]?\d+)?)[ _]?(?P<unit>[kmbgt]?)"
    r"(?:[ _]?(?:params|parameters|tokens|toks?|flops?))?",
    re.IGNORECASE,
)
# letters and digits before or after would make it another word: v2b, 1xB
WITHIN = re.compile(r"(?<![a-zA-Z0-9.])(\d+(?:[.p]\d+)?)([kmbgt])(?![a-zA-Z0-9])", re.IGNORECASE)
FLOPS = 1e15  # a plain number from here on is compute, not parameters


def amount(text: object) -> float:
    """The number that a whole cell states, with its unit if it has one; NaN if it is none."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text) if math.isfinite(text) and text > 0 else math.nan
    found = WHOLE.fullmatch(str(text).strip())
    if not found:
        return math.nan
    number = found["number"]
    number = number.replace(",", "" if re.search(r",\d{3}$", number) else ".")
    return float(number) * UNITS[found["unit"].lower()]


def named(text: str) -> float:
    """Parameters that a name states once: 70e6 for EleutherAI/pythia-70m; NaN if none or several.

    A bare number below a thousand is a width, a depth or a place in a list, and no size.
    """
    whole = amount(text)
    if not math.isnan(whole):
        return whole if 1e3 <= whole < FLOPS else math.nan
    parts = {(n.replace("p", ".").replace("P", "."), u.lower()) for n, u in WITHIN.findall(text)}
    if len(parts) != 1:
        return math.nan
    number, unit = parts.pop()
    return float(number) * UNITS[unit]


def is_size(text: str) -> bool:
    """Whether a heading is a model's size or compute in words: 10M, 1.3B, 4.84e19."""
    found = WHOLE.fullmatch(text.strip())
    return found is not None and bool(found["unit"] or "e" in found["number"].lower())


def short(value: float) -> str:
    """A number as a scale's name: as few digits as tell it exactly, with a suffix."""
    for limit, suffix in ((1e15, ""), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            if not suffix:
                return f"{value:.15g}".replace("e+", "e") if value < 1e16 else _scientific(value)
            told = f"{value / limit:.3g}"
            same = math.isclose(float(told) * limit, value, rel_tol=1e-12)
            return told + suffix if same else f"{value:.15g}"
    return f"{value:.15g}"


def _scientific(value: float) -> str:
    """1e18, 4.84e19."""
    digits, _, power = f"{value:.14e}".partition("e")
    return f"{float(digits):.15g}e{int(power)}"
