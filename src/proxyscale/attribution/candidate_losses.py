"""Losses of pool examples under trained models: what a selection by perplexity reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.progress import Progress
from proxyscale.data.pool import Pool
from proxyscale.selection.candidates import candidate_ids
from proxyscale.training import language_model
from proxyscale.training.evaluate import losses

ROWS = 4096  # examples held at a time


def candidate_losses(
    out: Path, runs: Sequence[Path], pool: Path, spec: Mapping[str, Any], title: str
) -> None:
    """Write the mean loss of every candidate over the runs' models, nats per token.

    `spec`: candidates (their number; None: all), candidate_sources (None: all) and seed, as for the
    selection that reads them. Every token but a row's first is predicted.
    """
    language_model.prepare_cpu(None)
    opened = Pool.open(pool)
    ids = candidate_ids(opened, spec["candidates"], spec["seed"], spec["candidate_sources"])
    total, progress = np.zeros(len(ids)), Progress(title, len(runs))
    for done, run in enumerate(runs, 1):
        model = language_model.load(run).to(language_model.device())
        for start in range(0, len(ids), ROWS):
            part = slice(start, start + ROWS)
            table = _as_task(ids[part], opened.rows(ids[part]))
            total[part] += losses(model, table)["loss"].to_numpy()
        progress.step(done, run.name)
    progress.close()
    columns = {"example": ids, "loss": total / len(runs)}
    artifacts.write(out, pa.table(columns), "candidate_losses")


def _as_task(ids: np.ndarray, rows: np.ndarray) -> pa.Table:
    """Pool examples as those of a task that scores whole texts."""
    n = len(ids)
    columns: dict[str, Any] = {"example": ids, "choice": np.zeros(n), "gold": np.ones(n, bool)}
    columns |= {"scored_from": np.ones(n), "tokens": list(rows)}
    return artifacts.conform(pa.table(columns), "task")
