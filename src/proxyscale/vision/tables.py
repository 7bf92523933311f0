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
# RN-8 of Table 15, for 32 × 32 images: the paper's other counts are all those of this form.
PRINTED = 714_421_850
NOTES = {714_211_850: f"printed as {PRINTED:,}, which the form of all other widths does not give"}


def write_table(out: Path, spec: Mapping[str, Any]) -> None:
    """Write a table, a row per scale, cheapest first. `spec`: table, scales (facts of each).

    `flops` are those of a forward pass of one image; a note tells where the paper prints otherwise.
    """
    names = COLUMNS[spec["table"]]
    with artifacts.atomic(out) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        noted = {facts["scale"]: NOTES.get(facts["parameters"]) for facts in spec["scales"]}
        more = spec["table"] == "tab15" and any(noted.values())
        writer.writerow(["scale", *names, *(["note"] if more else [])])
        for facts in sorted(spec["scales"], key=lambda facts: facts["flops"]):
            note = [noted[facts["scale"]] or ""] if more else []
            writer.writerow([facts["scale"], *(_cell(facts[name]) for name in names), *note])


def _cell(value: Any) -> Any:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else value
