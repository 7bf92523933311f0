"""All runs of a study in two tidy tables: what was lost where, and what it took."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base import artifacts
from proxyscale.base.paths import Paths, loss_stem
from proxyscale.base.tables import check_losses, with_constants


def collect(losses: Path, runs: Path, spec: Mapping[str, Any], results: str) -> None:
    """Write `losses` and `runs` from the run folders below `results`.

    `spec`: {"tasks": [...], "roles": {distribution: role}, "runs": {scale: {distribution:
    ["draw-seed", ...]}}}; a role of "scale/distribution" goes before that of the distribution.
    """
    paths = Paths(results)
    keys = list(_keys(spec["runs"]))
    artifacts.write(losses, pa.concat_tables(_losses(paths, keys, spec["tasks"])), "losses")
    rows = [_row(paths, key, spec["roles"]) for key in keys]
    artifacts.write(runs, pa.Table.from_pylist(rows), "runs")


def mixed(runs: pa.Table) -> str | None:
    """What is to be said of runs of different devices or precisions; None if all are alike."""
    each = zip(runs["device"].to_pylist(), runs["precision"].to_pylist(), strict=True)
    kinds = Counter(f"{device} in {precision}" for device, precision in each if device)
    if len(kinds) < 2:
        return None
    told = ", ".join(f"{count:,} on {kind}" for kind, count in kinds.most_common())
    return f"Runs were trained on different devices or in different precisions: {told}."


Key = tuple[str, str, int, int]


def collect_checkpoints(out: Path, spec: Mapping[str, Any], results: str) -> None:
    """Write what runs lost after shares of their steps: `spec` as above, with `checkpoints`."""
    paths, tables = Paths(results), []
    for key in _keys(spec["runs"]):
        for share in spec["checkpoints"]:
            for table in _losses(paths, [key], spec["tasks"], share):
                tables.append(with_constants(table, step=float(share)))
    artifacts.write(out, pa.concat_tables(tables), "checkpoints")


def _keys(runs: Mapping[str, Any]) -> Iterator[Key]:
    for scale, distributions in runs.items():
        for distribution, realized in distributions.items():
            for name in realized:
                draw, seed = map(int, name.split("-"))
                yield scale, distribution, draw, seed


def _losses(
    paths: Paths, keys: list[Key], tasks: list[str], share: float | None = None
) -> Iterator[pa.Table]:
    for key in keys:
        vocabulary = artifacts.read_json(f"{paths.run(*key)}/manifest.json")["model"]["vocabulary"]
        for task in tasks:
            path = f"{paths.run(*key)}/losses/{loss_stem(task, share)}.parquet"
            table = artifacts.read(path, "run_losses")
            check_losses(table, path, vocabulary)
            names = dict(zip(("scale", "distribution", "draw", "seed"), key, strict=True))
            yield artifacts.conform(with_constants(table, **names, task=task), "losses")


def _row(paths: Paths, key: Key, roles: Mapping[str, str]) -> dict[str, Any]:
    scale, distribution, draw, seed = key
    manifest = artifacts.read_json(f"{paths.run(*key)}/manifest.json")
    curve = artifacts.read(f"{paths.run(*key)}/curve.parquet", "curve", ["seconds"])
    return {
        "scale": scale,
        "distribution": distribution,
        "draw": draw,
        "seed": seed,
        "role": roles.get(f"{scale}/{distribution}") or roles[distribution],
        "seconds": pc.max(curve["seconds"]).as_py(),
        "versions": json.dumps(manifest["versions"], sort_keys=True),
        **{name: manifest.get(name) for name in ("device", "precision")},
        **{
            name: manifest[name]
            for name in ("parameters", "tokens", "epochs", "flops", "final_loss")
        },
    }
