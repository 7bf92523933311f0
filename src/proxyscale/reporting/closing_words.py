"""What is said when a study of any kind has run: what was found, and where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.statistics import collect
from proxyscale.study.study import Study


def ending(study: Study[Any]) -> str | None:
    """What was found and where it lies; None while there is nothing new to tell.

    Statistics count as new if they are no older than any run.
    """
    table = _new_statistics(study)
    if table is None:
        return None
    figure = f"{study.paths.figure(study.figures[0])}.pdf"
    sentences = study.findings(table)
    if not sentences:
        return figure
    since = Path(study.paths.losses).stat().st_mtime
    decided = [said for stem in study.decisions for said in _decided(Path(f"{stem}.json"), since)]
    mixed = collect.mixed(artifacts.read(study.paths.runs, "runs", ["device", "precision"]))
    warned = [mixed] if mixed else []
    return "\n".join([" ".join(sentences), *warned, *decided, _report(study)])


def _decided(record: Path, since: float) -> list[str]:
    """What a proposal or a plan says at the end; nothing where there is none of these losses."""
    if not record.exists() or record.stat().st_mtime < since:
        return []
    closing: list[str] = artifacts.read_json(record)["closing"]
    return closing


def _report(study: Study[Any]) -> str:
    """The report, or how it is made if it is older than the statistics."""
    written = Path(study.paths.statistics).stat().st_mtime
    report, figure = study.paths.report, study.paths.figure(study.figures[0])
    if Path(report).exists() and Path(report).stat().st_mtime >= written:
        return report
    return f"{figure}.pdf; for the report: snakemake --cores all {report}"


def _new_statistics(study: Study[Any]) -> pa.Table | None:
    """The statistics, if they are no older than the losses and the runs that they are made of."""
    statistics = Path(study.paths.statistics)
    sources = [Path(study.paths.losses), *map(Path, study.run_manifests)]
    if not all(path.exists() for path in (statistics, *sources)):
        return None
    if statistics.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        return None
    return artifacts.read(statistics, "statistics")
