"""What is said when a study has run: what was found, and where it lies."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.paths import Paths
from proxyscale.statistics.verdict import verdict, words
from proxyscale.study.study import Readable, Study

USUAL = 175  # the compute ratio of the paper's Figure 1


def ending(study: Readable) -> str | None:
    """Two sentences and where the report lies; None while there is nothing new to tell.

    Statistics count as new if they are no older than any run.
    """
    runs = study.runs if isinstance(study, Study) else []
    table = new_statistics(study.paths, (f"{study.paths.run(*run)}/manifest.json" for run in runs))
    if table is None:
        return None
    figure = f"{study.paths.figure(study.figures[0])}.pdf"
    sentences = [part for part in (_agreement(study, table), _decided(study, table)) if part]
    if not sentences:
        return figure
    report, statistics = Path(study.paths.report), Path(study.paths.statistics)
    if report.exists() and report.stat().st_mtime >= statistics.stat().st_mtime:
        where = str(report)
    else:
        where = f"{figure}; for the report: snakemake --cores all {report}"
    return f"{' '.join(sentences)}\n{where}"


def new_statistics(paths: Paths, made: Iterable[str]) -> pa.Table | None:
    """The statistics, if they are no older than the losses and all other files they are made of."""
    statistics, sources = Path(paths.statistics), [Path(paths.losses), *map(Path, made)]
    if not all(path.exists() for path in (statistics, *sources)):
        return None
    if statistics.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        return None
    return artifacts.read(statistics, "statistics")


def _agreement(study: Readable, table: pa.Table) -> str:
    """How well the figures' proxy foretells the reference, over the tasks."""
    for column, value in (("statistic", "r2"), ("level", "distribution"), ("group", "all")):
        table = table.filter(pc.equal(table[column], value))
    rows = [row for row in table.to_pylist() if row["value"] is not None]
    if not rows:
        return ""
    proxy = study.config.figures.proxy or min(rows, key=_unusual)["proxy"]
    own = sorted((row for row in rows if row["proxy"] == proxy), key=lambda row: row["value"])
    ratio = own[0]["compute_ratio"]
    cost = f" at 1/{ratio:.0f} of the compute" if ratio else ""
    low, high = (f"{row['value']:.2f} ({row['task']})" for row in (own[0], own[-1]))
    return (
        f"Losses of {proxy} go with those of {study.config.reference}{cost} across "
        f"{own[0]['n']} training distributions: R² from {low} to {high}."
    )


def _unusual(row: dict[str, Any]) -> float:
    ratio = row["compute_ratio"]
    return abs(math.log(ratio / USUAL)) if ratio else math.inf


def _decided(study: Readable, table: pa.Table) -> str:
    """The verdict's claim, or why there is none."""
    if "r2" not in table["statistic"].to_pylist():
        return ""
    try:
        found = verdict(table, study.config.trust, study.config.confidence)[0]
    except UserError as error:
        return f"No verdict: {error.message}."
    return words(found).split(". ")[0].rstrip(".") + "."
