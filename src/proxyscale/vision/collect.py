"""All ensembles of image models in two tidy tables: what was lost where, what it took."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.paths import Paths
from proxyscale.base.tables import check_losses


def collect_ensembles(losses: Path, runs: Path, spec: Mapping[str, Any], results: str) -> None:
    """Write `losses` and `runs` from the ensembles below `results`.

    `spec`: `tasks` and `ensembles`, each with its scale, distribution, ensemble, role,
    parameters, and flops of training on one image.
    """
    paths = Paths(results)
    parts, rows = [], []
    for entry in spec["ensembles"]:
        folder = paths.image_ensemble(entry["scale"], entry["distribution"], entry["ensemble"])
        files = [f"{folder}/losses/{task}.parquet" for task in spec["tasks"]]
        parts += [check_losses(artifacts.read(f, "losses"), f) for f in files]
        rows += list(_rows(Path(folder), entry))
    artifacts.write(losses, pa.concat_tables(parts), "losses")
    artifacts.write(runs, pa.Table.from_pylist(rows), "runs")


def _rows(folder: Path, entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each run of an ensemble; its seconds are a stack's, shared out among networks."""
    manifest = artifacts.read_json(folder / "manifest.json")
    curve = artifacts.read(folder / "curve.parquet", "curve", ["seconds"])
    most = max(run["examples"] for run in manifest["runs"])
    together = sum(run["examples"] == most for run in manifest["runs"])
    seconds = pc.max(curve["seconds"]).as_py() / min(together, manifest["stack"])
    for run in manifest["runs"]:
        yield {
            "scale": entry["scale"],
            "distribution": entry["distribution"],
            "draw": run["draw"],
            "seed": run["seed"],
            "role": entry["role"],
            "parameters": entry["parameters"],
            "tokens": run["seen"],  # images
            "epochs": run["epochs"],
            "flops": entry["flops"] * run["seen"],
            "seconds": seconds * run["examples"] / most,
            "final_loss": run["final_loss"],
            "device": manifest["device"],
            "precision": manifest["precision"],
            "versions": json.dumps(manifest["versions"], sort_keys=True),
        }
