"""What the statistics of a study say of its losses, in two sentences."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError
from proxyscale.base.progress import cheaper
from proxyscale.figures.signed_r2 import short, squared
from proxyscale.statistics.objective import NAME
from proxyscale.statistics.verdict import verdict
from proxyscale.statistics.verdict_words import ASSUMPTION, OWN_UNIT, claim
from proxyscale.study.config import Config, Reading

USUAL = 175  # the compute ratio of the paper's Figure 1


def sentences(config: Reading, statistics: pa.Table) -> list[str]:
    """How well the figures' proxy foretells the reference, and the verdict; none without losses."""
    return [said for said in (_agreement(config, statistics), _decided(config, statistics)) if said]


def _agreement(config: Reading, table: pa.Table) -> str:
    """How well the figures' proxy foretells the reference, over the tasks; R² with its sign and
    with what one distribution less makes of it."""
    for column, value in (("level", "distribution"), ("group", "all")):
        table = table.filter(pc.equal(table[column], value))
    found = {(row["statistic"], row["task"], row["proxy"]): row for row in table.to_pylist()}
    rows = [
        row
        for row in table.to_pylist()
        if row["statistic"] == "r2" and row["value"] is not None and row["task"] != NAME
    ]
    if not rows:
        return ""
    proxy = config.figures.proxy or min(rows, key=_unusual)["proxy"]
    own = [
        row
        | {
            "r": found["pearson", row["task"], proxy]["value"],
            "without": found.get(("pearson_leave_one_out", row["task"], proxy)),
        }
        for row in rows
        if row["proxy"] == proxy
    ]
    losses = {
        row["task"]
        for row in table.to_pylist()
        if row["statistic"] == "regret" and row["unit"] == "loss"
    }
    what = "Losses" if losses >= {row["task"] for row in own} else "Values"
    own.sort(key=lambda row: math.copysign(row["value"], row["r"]))
    ratio, counts = own[0]["compute_ratio"], sorted({row["n"] for row in own})
    cost = f", {cheaper(ratio)}," if ratio else " at an unknown share of the compute"
    across = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"{_relation(what, proxy, config.reference, own)}{cost} across {across} training "
        f"distributions: {_range(own)}."
    )


def _relation(what: str, proxy: str, reference: str, own: list[dict[str, Any]]) -> str:
    """Whether `what` is measured at the proxy rises or falls with the reference's."""
    falling = sum(row["r"] < 0 for row in own)
    if len(own) == 1:
        what = f"{own[0]['task']}"
        way = "falls where that" if falling else "rises with that"
        tail = f" of {reference} rises" if falling else f" of {reference}"
        return f"{what} of {proxy} {way}{tail}"
    if falling == len(own):
        return f"{what} of {proxy} fall where those of {reference} rise, on every task"
    if falling:
        rising = len(own) - falling
        tasks = f"{rising} task{'s' * (rising > 1)}"
        return (
            f"{what} of {proxy} go with those of {reference} on {tasks} and against them on "
            f"{falling}"
        )
    return f"{what} of {proxy} go with those of {reference}"


def _range(own: list[dict[str, Any]]) -> str:
    """R² of one task, or from the lowest to the highest, a negative correlation marked; with the
    number of distributions where tasks differ in it, and what one less makes of it."""
    differ = len({row["n"] for row in own}) > 1

    def told(row: dict[str, Any]) -> str:
        value = f"{row['value']:.2f}{' with r < 0' * (row['r'] < 0)}"
        more = [f"n = {row['n']}"] * differ + _without_one(row["without"])
        if len(own) > 1:
            return f"{value} ({', '.join([row['task'], *more])})"
        return ", ".join([value, *more])

    return f"R² {told(own[0])}" if len(own) == 1 else f"R² from {told(own[0])} to {told(own[-1])}"


def _without_one(row: dict[str, Any] | None) -> list[str]:
    """What one distribution less makes of R², with the sign of r; whose absence moves r most."""
    if row is None or row["low"] is None:
        return []
    ends = (short(squared(r)) for r in (row["low"], row["high"]))
    return [f"{' to '.join(ends)} with one left out, most moved by {row['named']}"]


def _unusual(row: dict[str, Any]) -> float:
    ratio = row["compute_ratio"]
    return abs(math.log(ratio / USUAL)) if ratio else math.inf


def _decided(config: Reading, table: pa.Table) -> str:
    """The verdict's claim, or why there is none."""
    if "r2" not in table["statistic"].to_pylist():
        return ""
    try:
        found = verdict(table, config.trust_words(), config.confidence)
    except UserError as error:
        return f"No verdict: {error.message}."
    unit = "nats per token" if isinstance(config, Config) else OWN_UNIT
    if not found:
        return ""
    trusted = found[0].trusted is not None
    return " ".join([claim(found[0], unit), *([ASSUMPTION] if trusted else [])])
