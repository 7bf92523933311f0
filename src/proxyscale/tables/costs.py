"""What the runs of a table took: as somebody says, else as the table does, else as names do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.cost import training_flops
from proxyscale.tables.sizes import FLOPS, amount

RUN = ["scale", "recipe", "seed_number"]


def run_rows(rows: pd.DataFrame, spec: Mapping[str, Any], notes: list[str]) -> pa.Table:
    """The runs as a table of the schema, the scales by compute, else by size, else as they come."""
    costs = {
        str(name): _cost(part, spec, str(name)) for name, part in rows.groupby("scale", sort=False)
    }
    order = _order(costs, spec, rows, notes)
    runs = rows[RUN].drop_duplicates()
    runs = runs.sort_values("scale", key=lambda s: s.map(order.index), kind="stable")
    for what in ("parameters", "tokens", "flops"):
        values = runs["scale"].map({name: cost[what] for name, cost in costs.items()})
        runs[what] = values if what == "flops" else values.round().astype("Int64")
    runs = runs.rename(columns={"recipe": "distribution", "seed_number": "seed"})
    runs = runs.assign(role="outside", draw=0)
    return artifacts.conform(pa.Table.from_pandas(runs, preserve_index=False), "runs")


def _order(
    costs: Mapping[str, Mapping[str, float]],
    spec: Mapping[str, Any],
    rows: pd.DataFrame,
    notes: list[str],
) -> list[str]:
    """Names of the scales, the smallest first; how that is known is told."""
    names = list(costs)
    for what in ("flops", "parameters"):
        sizes = [costs[name][what] for name in names]
        if np.isfinite(sizes).all():
            break
    else:
        sizes = [np.nan_to_num(size, nan=np.inf) for size in sizes]
    unknown = [name for name, size in zip(names, sizes, strict=True) if np.isinf(size)]
    if unknown:
        notes.append(
            f"neither compute nor size is known of {', '.join(unknown)}: such scales stand last, "
            "as in the table"
        )
    elif what == "parameters":
        said = rows["parameters"].notna().all() or all(
            "parameters" in spec["scales"].get(n, {}) for n in names
        )
        where = "their parameters" if said else "the sizes in their names"
        notes.append(f"the compute of the scales is not known: they stand in the order of {where}")
    return [names[i] for i in np.argsort(sizes, kind="stable")]


def _cost(part: pd.DataFrame, spec: Mapping[str, Any], scale: str) -> dict[str, float]:
    """Parameters, tokens and FLOPs of one run of a scale; NaN where nothing tells them."""
    said = spec["scales"].get(scale, {})
    found = part[["parameters", "tokens", "flops", "size"]].median()
    parameters = said.get("parameters") or found["parameters"]
    if np.isnan(parameters):
        parameters = found["size"]
    tokens = said.get("tokens") or found["tokens"]
    if np.isnan(tokens) and spec["tokens_per_parameter"]:
        tokens = spec["tokens_per_parameter"] * parameters
    flops = said.get("flops") or found["flops"]
    if np.isnan(flops) and np.isnan(found["parameters"]) and amount(scale) >= FLOPS:
        flops = amount(scale)
    if np.isnan(flops):
        flops = training_flops(parameters, tokens)
    return {"parameters": float(parameters), "tokens": float(tokens), "flops": float(flops)}
