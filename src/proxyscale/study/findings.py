"""What the statistics of a study say of its losses, in two sentences."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError
from proxyscale.statistics.verdict import verdict, words
from proxyscale.study.config import Reading

USUAL = 175  # the compute ratio of the paper's Figure 1


def sentences(config: Reading, statistics: pa.Table) -> list[str]:
    """How well the figures' proxy foretells the reference, and the verdict; none without losses."""
    return [said for said in (_agreement(config, statistics), _decided(config, statistics)) if said]


def _agreement(config: Reading, table: pa.Table) -> str:
    """How well the figures' proxy foretells the reference, over the tasks."""
    for column, value in (("statistic", "r2"), ("level", "distribution"), ("group", "all")):
        table = table.filter(pc.equal(table[column], value))
    rows = [row for row in table.to_pylist() if row["value"] is not None]
    if not rows:
        return ""
    proxy = config.figures.proxy or min(rows, key=_unusual)["proxy"]
    own = sorted((row for row in rows if row["proxy"] == proxy), key=lambda row: row["value"])
    ratio = own[0]["compute_ratio"]
    cost = f" at 1/{ratio:.0f} of the compute" if ratio else ""
    low, high = (f"{row['value']:.2f} ({row['task']})" for row in (own[0], own[-1]))
    return (
        f"Losses of {proxy} go with those of {config.reference}{cost} across "
        f"{own[0]['n']} training distributions: R² from {low} to {high}."
    )


def _unusual(row: dict[str, Any]) -> float:
    ratio = row["compute_ratio"]
    return abs(math.log(ratio / USUAL)) if ratio else math.inf


def _decided(config: Reading, table: pa.Table) -> str:
    """The verdict's claim, or why there is none."""
    if "r2" not in table["statistic"].to_pylist():
        return ""
    try:
        found = verdict(table, config.trust, config.confidence)[0]
    except UserError as error:
        return f"No verdict: {error.message}."
    return words(found).split(". ")[0].rstrip(".") + "."
