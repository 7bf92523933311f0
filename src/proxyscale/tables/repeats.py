"""Rows that repeat: one value for each run, task and example, or a refusal that says why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from proxyscale.base.errors import UserError
from proxyscale.base.progress import quantity
from proxyscale.tables.tidy import EXTRA

CELL = ["scale", "recipe", "task"]
ALIKE = 0.01  # of their size, by which token counts of one budget may differ
SHOWN = 5


def single_values(rows: pd.DataFrame, spec: Mapping[str, Any], notes: list[str]) -> pd.DataFrame:
    """The rows with numbers for seeds and examples, each value given once.

    UserError for budgets and other columns that nobody named and that differ within a scale and
    recipe; for rows that differ in nothing but their values, unless `repeats` says what they are.
    """
    _refuse_budgets(rows)
    _refuse_extras(rows)
    key = [*CELL, "seed", "example"]
    nth = rows.groupby(key, sort=False).cumcount()
    if (nth > 0).any():
        _refuse_repeats(rows, nth, spec)
    seeded = (rows["seed"] != "").any()
    rows["seed_number"] = numbered(rows["seed"]) if seeded else nth
    if not seeded and (nth > 0).any():
        notes.append(f"rows that repeat are seeds: up to {int(nth.max()) + 1} of a recipe")
    return _same_examples(rows, notes)


def _refuse_budgets(rows: pd.DataFrame) -> None:
    """UserError where runs of one scale and recipe saw different numbers of tokens."""
    for what, word in (("tokens", "tokens"), ("parameters", "parameters"), ("flops", "FLOPs")):
        if rows[what].isna().all():
            continue
        ends = rows.groupby(["scale", "recipe"], sort=False)[what].agg(["min", "max"])
        apart = ends[ends["max"] > ends["min"] * (1 + ALIKE)]
        if len(apart):
            scale, recipe = apart.index[0]
            mine = rows[(rows["scale"] == scale) & (rows["recipe"] == recipe)]
            counts = ", ".join(quantity(v) for v in sorted(mine[what].dropna().unique())[:SHOWN])
            raise UserError(
                f"{scale} / {recipe} has several numbers of {word}: {counts}",
                where="runs.table",
                hint="tell them apart by the column: --by; name it --step if they are checkpoints "
                "of one run; or --ignore it",
            )


def _refuse_extras(rows: pd.DataFrame) -> None:
    """UserError for a column that nobody named, where it differs within a scale and recipe, for a
    test example if there are any: what an example is about tells no runs apart.
    """
    key = [*CELL, "example"]
    for name in (name for name in rows.columns if name.startswith(EXTRA)):
        cells = rows[[*key, name]].dropna()
        several = cells.groupby(key, sort=False)[name].nunique()
        if (several > 1).any():
            place = several[several > 1].index[0]
            scale, recipe = place[:2]
            mine = cells.set_index(key).loc[[place], name]
            values = ", ".join(list(dict.fromkeys(mine))[:SHOWN])
            column = name.removeprefix(EXTRA)
            raise UserError(
                f"{scale} / {recipe} has rows that differ in column {column}: {values}",
                where="runs.table",
                hint=f"--by {column} tells them apart, --ignore {column} if it means nothing, or "
                f"name what it holds: --seed {column}, --step {column}, --example {column}",
            )


def _refuse_repeats(rows: pd.DataFrame, nth: pd.Series[Any], spec: Mapping[str, Any]) -> None:
    """UserError for values that are given twice, unless they are said to be seeds."""
    row = rows[nth > 0].iloc[0]
    place = f"{row['scale']} / {row['recipe']} / {row['task']}"
    place += f", example {row['example']}" if row["example"] else ""
    if row["seed"]:
        hint = "name the column that tells them apart: --by, --step, --example"
        raise UserError(
            f"two values for {place}, seed {row['seed']} (row {row['row']})",
            where=str(row["file"]),
            hint=hint,
        )
    if spec["repeats"] != "seeds":
        raise UserError(
            f"two values for {place} (row {row['row']}), which no column tells apart",
            where=str(row["file"]),
            hint="--repeats seeds if they are training seeds; else name the column that tells them "
            "apart: --seed, --step, --by, --example",
        )


def numbered(labels: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Whole numbers as they are, anything else by its place among the sorted labels."""
    known = sorted(set(labels))
    if all(label.isdecimal() and int(label) < 2**32 for label in known):
        return np.asarray(labels.astype(np.int64).to_numpy())
    place = {label: i for i, label in enumerate(known)}
    return np.asarray(labels.map(place).to_numpy(dtype=np.int64))


def _same_examples(rows: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """With numbered examples; those that some runs lack are left out of their task, which is told.

    UserError where the runs share less than half of a task's examples, or only some have any.
    """
    single = rows["example"] != ""
    rows["example_number"] = 0
    if not single.any():
        return rows
    rows.loc[single, "example_number"] = numbered(rows.loc[single, "example"])
    kept, run = [], ["scale", "recipe", "seed_number"]
    for task, part in rows.groupby("task", sort=False):
        mixed = (part["example"] == "").any() and (part["example"] != "").any()
        if mixed:
            message = f"some runs give {task} by example, others averaged"
            raise UserError(message, where="runs.table")
        runs = len(part[run].drop_duplicates())
        having = part.groupby("example_number")["value"].size()
        common = having[having == runs].index
        if 2 * len(common) < len(having):
            message = f"the runs share {len(common)} of the {len(having)} examples of {task}"
            raise UserError(
                message, where="runs.table", hint="were they measured on the same test set?"
            )
        if len(common) < len(having):
            left = len(having) - len(common)
            notes.append(f"{task}: {left} of {len(having)} examples left out, which some runs lack")
        kept.append(part[part["example_number"].isin(common)])
    return pd.concat(kept, ignore_index=True)
