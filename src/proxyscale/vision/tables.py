"""Tables of architectures (Tab 15) and of hyperparameters (Tab 16), as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxyscale.base import artifacts

COLUMNS = {
    "tab15": ("channels", "blocks", "stem", "parametrization", "parameters", "flops"),
    "tab16": (
        *("epochs", "batch", "learning_rate", "initial_learning_rate", "warmup", "decay"),
        *("momentum", "weight_decay", "augment", "checkpoints", "precision"),
    ),
}


def write_table(out: Path, spec: Mapping[str, Any]) -> None:
    """Write a table, a row per scale, cheapest first. `spec`: table, scales (facts of each).

    `flops` are those of a forward pass of one image.
    """
    names = COLUMNS[spec["table"]]
    with artifacts.atomic(out) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scale", *names])
        for facts in sorted(spec["scales"], key=lambda facts: facts["flops"]):
            writer.writerow([facts["scale"], *(_cell(facts[name]) for name in names)])


def _cell(value: Any) -> Any:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else value
