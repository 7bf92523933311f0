"""What is said when a study of any kind has run."""

from __future__ import annotations

import pyarrow as pa

from proxyscale.reporting import closing_words
from proxyscale.study.study import Readable
from proxyscale.vision.study import ImageStudy


def ending(study: Readable | ImageStudy) -> str | None:
    """What was found and where it lies; None while there is nothing new to tell."""
    if not isinstance(study, ImageStudy):
        return closing_words.ending(study)
    table = closing_words.new_statistics(study.paths, ())
    if table is None:
        return None
    return f"{_attribution(study, table)}\n{study.paths.figure(study.figures[0])}.pdf"


def _attribution(study: ImageStudy, table: pa.Table) -> str:
    """LDS through the narrowest width and through the reference itself, for the first task."""
    group = f"trak/{max(study.config.attribution.trak.models)}"
    task, narrowest = next(iter(study.config.tasks)), next(iter(study.scales))
    found = {
        row["proxy"]: row
        for row in table.to_pylist()
        if (row["statistic"], row["group"], row["task"]) == ("lds", group, task)
    }
    cheap, dear = found[narrowest], found[study.config.reference]
    return (
        f"Scores from {narrowest} foretell {study.config.reference} on {cheap['n']} subsets with "
        f"LDS {cheap['value']:.2f} at 1/{cheap['compute_ratio']:.0f} of the compute, its own with "
        f"{dear['value']:.2f}; a perfect predictor would reach {dear['ceiling']:.2f}."
    )
