"""The files that say what to train: a record, a config that trains it, a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from proxyscale.base import artifacts
from proxyscale.statistics import mixture_proposal, next_plan, proposal_words

HEAD = "# What trains it: snakemake --cores all --configfile STUDY.yaml {name}\n"


def write_proposal(
    stem: Path,
    losses: pa.Table,
    runs: pa.Table,
    sources: Sequence[str],
    shares: Mapping[str, list[float]],
    spec: Mapping[str, Any],
    pool: Path | None = None,
) -> list[str]:
    """Write stem.json, stem.yaml and stem.csv (a row a source); what is said of it.

    `shares`: of the `sources`, by recipe. `pool`: the manifest of a pool, whose tokens are those
    that are available unless `spec` names some. The config trains the proposal at the scale that it
    is for and where mixtures were trained.
    """
    limits = dict(spec["limits"])
    if pool is not None and not limits.get("available"):
        rows = artifacts.read_json(pool)["sources"]
        limits["available"] = {row["name"]: row["rows"] * spec["length"] for row in rows}
    named = {"objective": spec["objective"], "target": spec["target"]}
    record = mixture_proposal.proposal_of(losses, runs, sources, shares, limits | named)
    scales = list(dict.fromkeys([record["trained_at"], spec["target"]]))
    sentences = proposal_words.told(record)
    closing = proposal_words.closing(record)
    fragment = mixture_proposal.fragment(record, scales, limits.get("passes", 1) > 1)
    columns = ("weights", "best_weights", "low_shares", "high_shares")
    rows = [{"source": name, **{key: record[key][name] for key in columns}} for name in sources]
    _write(stem, record | {"told": sentences, "closing": closing}, fragment, rows)
    return sentences


def write_next(stem: Path, losses: pa.Table, runs: pa.Table, spec: Mapping[str, Any]) -> list[str]:
    """Write stem.json, stem.yaml and stem.csv (a row a step); what is said of it."""
    record = next_plan.next_of(losses, runs, spec)
    sentences = next_plan.told(record)
    fragment = next_plan.fragment(
        record, spec["seeds"].get(record["chosen"]["scale"], 1), spec.get("families")
    )
    _write(stem, record | {"told": sentences, "closing": sentences}, fragment, record["steps"])
    return sentences


def _write(
    stem: Path,
    record: Mapping[str, Any],
    fragment: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    artifacts.write_csv(Path(f"{stem}.csv"), rows)
    path = Path(f"{stem}.yaml")
    with artifacts.atomic(path) as temporary:
        temporary.write_text(HEAD.format(name=path) + yaml.safe_dump(dict(fragment)))
    artifacts.write_json(Path(f"{stem}.json"), _plain(record))


def _plain(value: Any) -> Any:
    """NaN is null: JSON has no word for it."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
