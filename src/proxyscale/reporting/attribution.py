"""What the report shows of attribution: LDS by method and width, from the statistics alone."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from proxyscale.base.progress import cheaper
from proxyscale.base.tables import where

FIELDS = ("task", "group", "proxy", "value", "low", "high", "ceiling", "n", "compute_ratio")


def attribution_data(statistics: pa.Table, reference: str, scales: list[str]) -> dict[str, Any]:
    """LDS, accuracies and agreement of scores; `scales` are the widths, cheapest first."""
    lds = _rows(statistics, "lds", reference)
    return {
        "attribution": lds,
        "accuracy": _rows(statistics, "accuracy", reference),
        "agreement": _rows(statistics, "scores_spearman", reference),
        "widths": [name for name in scales if any(row["proxy"] == name for row in lds)],
    }


def attribution_words(statistics: pa.Table, reference: str, scales: list[str]) -> tuple[str, str]:
    """What the narrowest width's scores are worth, by TRAK of most models, on the first task: a
    headline and a sentence."""
    found = _rows(statistics, "lds", reference)
    rows = {(r["group"], r["proxy"]): r for r in found if r["task"] == found[0]["task"]}
    trak = [group for group, proxy in rows if group.startswith("trak/") and proxy == reference]
    best = max(trak, key=lambda group: int(group.partition("/")[2]))
    narrow = next(name for name in scales if (best, name) in rows)
    own, cheap = rows[best, reference], rows[best, narrow]
    saved = f", {cheaper(cheap['compute_ratio'])}" if cheap["compute_ratio"] else ""
    most = own["ceiling"]
    perfect = "" if most is None else f"; perfect scores would reach {most:.2f}"
    sentence = (
        f"Over {own['n']} subsets, scores through {narrow} foretell {reference} with an LDS of "
        f"{_told(cheap)}{saved}, its own with {_told(own)}{perfect}."
    )
    if not (own["low"] or 0) > 0:
        return f"{reference}'s own scores are not known to foretell it", sentence
    if not (cheap["low"] or 0) > 0:
        return f"Scores through {narrow} are not known to foretell {reference}", sentence
    worth = cheap["value"] / own["value"]
    return f"Scores through {narrow} are {worth:.0%} as good as {reference}'s own{saved}", sentence


def _told(row: dict[str, Any]) -> str:
    ends = "" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['value']:.2f}{ends}"


def _rows(statistics: pa.Table, statistic: str, reference: str) -> list[dict[str, Any]]:
    found = where(statistics, statistic=statistic, reference=reference, level="distribution")
    return [
        {key: _short(value) for key, value in row.items()}
        for row in found.select(FIELDS).to_pylist()
    ]


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.5g}") if math.isfinite(value) else None
