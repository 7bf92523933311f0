"""Models that are there, measured, in the tidy tables: the last step of each counts.

Losses are nats per token where all models have the same tokens to predict, else bits per byte,
which alone may be compared across tokenizers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.tables import check_losses
from proxyscale.tables.checkpoints import last_checkpoints, settled
from proxyscale.tables.costs import run_rows
from proxyscale.tables.repeats import numbered
from proxyscale.tables.runs import OutsideRuns
from proxyscale.tables.sizes import named

SHOWN = 3
# What a study says of a model; its step is a word.
FACTS = ("scale", "recipe", "seed", "step", "parameters", "tokens")
MEASURES = ("loss", "tokens", "correct", "margin", "probability", "lead")
SAME = (
    "all models have the same tokens to predict: losses are nats per token, and bits per byte "
    "stand beside them"
)
OTHERS = (
    "the models have different tokenizers (of {count} kinds on {task}): every loss is in bits per "
    "byte of the scored text, which alone may be compared across tokenizers; so are margins and "
    "leads, and the choice that counts as a model's own is the likeliest per byte"
)


def read_measured(models: Sequence[Mapping[str, Any]], spec: Mapping[str, Any]) -> OutsideRuns:
    """The tables of schemas losses, runs and checkpoints, and in words what they are.

    `models`: their folders and what the config says of each (scale, recipe, seed, step, parameters,
    tokens). `spec`: tasks, tokens_per_parameter.
    """
    facts = [artifacts.read_json(Path(one["folder"]) / "manifest.json") for one in models]
    notes = [_unit(facts, spec["tasks"]), *_unread(models, facts)]
    kind = "losses" if notes[0] == SAME else "bytes"
    rows = pd.concat(
        [
            _rows(one, told, kind, task)
            for one, told in zip(models, facts, strict=True)
            for task in spec["tasks"]
        ],
        ignore_index=True,
    )
    rows["size"] = rows["scale"].map({name: named(name) for name in rows["scale"].unique()})
    rows, before = last_checkpoints(rows, notes)
    rows["seed_number"] = numbered(rows["seed"])
    notes += settled(rows, before)
    words = {"scales": {}, "tokens_per_parameter": spec["tokens_per_parameter"]}
    runs = run_rows(rows, words, notes)
    versions = json.dumps(facts[0]["versions"], sort_keys=True)
    place = runs.schema.get_field_index("versions")
    runs = runs.set_column(place, runs.schema.field(place), pa.array([versions] * len(runs)))
    return OutsideRuns(_table(rows, "losses"), runs, _table(before, "checkpoints"), notes)


def told_models(models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each model: what it is, of which commit, how large."""
    rows = []
    for one in models:
        facts = artifacts.read_json(Path(one["folder"]) / "manifest.json")
        own = {name: one[name] for name in ("scale", "recipe", "seed", "step")}
        found = ("hub", "folder", "commit", "architecture", "parameters", "vocabulary", "context")
        rows.append(own | {name: facts[name] for name in found})
    return rows


def _unit(facts: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> str:
    """What losses are of, in words: `SAME`, or why they are bits per byte."""
    kinds = {task: len({told["scored"][task] for told in facts}) for task in tasks}
    most = max(kinds, key=kinds.__getitem__)
    return SAME if kinds[most] == 1 else OTHERS.format(count=kinds[most], task=most)


def _unread(models: Sequence[Mapping[str, Any]], facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Weights in models' files that their architecture does not have."""
    found = [(one, told) for one, told in zip(models, facts, strict=True) if told["unread"]]
    if not found:
        return []
    one, told = found[0]
    names = ", ".join(told["unread"][:SHOWN])
    return [
        f"{len(found)} of {len(facts)} models have weights that a {told['architecture']} does not "
        f"have, and which were not read: {one['scale']} / {one['recipe']}: "
        f"{len(told['unread'])}, such as {names}"
    ]


def _rows(one: Mapping[str, Any], told: Mapping[str, Any], kind: str, task: str) -> pd.DataFrame:
    """A model's losses on a task, with what is known of the model."""
    path = Path(one["folder"]) / kind / f"{task}.parquet"
    table = artifacts.read(path, "run_losses")
    check_losses(table, str(path), told["vocabulary"] if kind == "losses" else None)
    frame = table.to_pandas().rename(columns={"loss": "value", "tokens": "scored"})
    tokens = np.nan if one["tokens"] is None else float(one["tokens"])
    parameters = one["parameters"] or told["parameters"]
    return frame.rename(columns={"example": "example_number"}).assign(
        task=task,
        scale=one["scale"],
        recipe=one["recipe"],
        seed=one["seed"],
        step=_step(one["step"]),
        example="",
        parameters=float(parameters),
        tokens=tokens,
        flops=np.nan,
    )


def _step(word: str) -> float:
    """A step's number; of the one model of a run, which has none, the end."""
    found = re.search(r"\d+", word)
    return float(found[0]) if found else np.inf


def _table(rows: pd.DataFrame, kind: str) -> pa.Table:
    """The rows as a table of the schema losses, or checkpoints, which has the step as well."""
    named = {"scale": "scale", "recipe": "distribution", "seed_number": "seed", "task": "task",
             "example_number": "example", "value": "loss", "scored": "tokens"}  # fmt: skip
    columns: dict[str, Any] = {new: rows[old] for old, new in named.items()}
    columns |= {name: rows[name] for name in MEASURES[2:]}
    columns |= {"draw": np.zeros(len(rows), dtype=np.int64), "better": "lower"}
    if kind == "checkpoints":
        columns["step"] = rows["step"]
    table = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
    return artifacts.conform(table, kind)
