"""Checkpoints of runs: the last of each run counts; the others tell how early the order settles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from proxyscale.base.errors import UserError

ALIKE = 0.01  # of the last step, by which it may differ between the recipes of a scale
SETTLED = 0.95  # Spearman's correlation with the last order
SERIES = ["scale", "recipe", "seed", "task"]


def last_checkpoints(rows: pd.DataFrame, notes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the last step of each run and task, and those before.

    Where the last step differs between recipes of a scale by more than 1 %, it is the last that
    all of them have. UserError if there is none.
    """
    numbers = {"seed_number": 0, "example_number": 0}
    if rows["step"].isna().all():
        return rows, rows.head(0).assign(**numbers)
    last = rows.groupby(SERIES, sort=False)["step"].transform("max")
    for (scale, task), part in rows.assign(last=last).groupby(["scale", "task"], sort=False):
        low, high = part["last"].min(), part["last"].max()
        if high == low or high - low <= ALIKE * high:
            continue
        common = _common(part)
        if common is None:
            first, final = part.loc[part["last"].idxmin()], part.loc[part["last"].idxmax()]
            raise UserError(
                f"{scale} / {task}: {first['recipe']} ends at step {_step(low)}, "
                f"{final['recipe']} at {_step(high)}, and no step is common to all recipes",
                where="runs.table",
                hint="leave out the recipes that were not trained to the end",
            )
        last[part.index] = common
        told = (
            f"{scale}: its recipes end at different steps ({_step(low)} to {_step(high)}); "
            f"step {_step(common)}, the last that all have, counts"
        )
        if told not in notes:
            notes.append(told)
    kept, before = rows[rows["step"] == last], rows[rows["step"] < last]
    if len(before):
        notes.append(
            f"several steps of a run are checkpoints: the last counts ({_range(kept)}); "
            f"{len(before):,} values before it are kept in checkpoints.parquet"
        )
    seeds = pd.factorize(before["seed"], sort=True)[0] if len(before) else 0
    examples = pd.factorize(before["example"], sort=True)[0] if len(before) else 0
    before = before.assign(seed_number=seeds, example_number=examples)
    return kept.reset_index(drop=True), before


def _common(part: pd.DataFrame) -> float | None:
    """The last step that every recipe and seed of a scale has."""
    series = part.groupby(["recipe", "seed"], sort=False).ngroup()
    having = pd.DataFrame({"step": part["step"], "series": series}).drop_duplicates()["step"]
    counts = having.value_counts()
    steps = counts[counts == series.nunique()].index
    return float(max(steps)) if len(steps) else None


def _step(value: float) -> str:
    return "final" if np.isinf(value) else f"{value:g}" if value < 1e5 else f"{value:.0f}"


def _range(kept: pd.DataFrame) -> str:
    ends = kept.groupby("scale", sort=False)["step"].max()
    return ", ".join(f"{scale}: {_step(step)}" for scale, step in ends.head(8).items())


def settled(rows: pd.DataFrame, before: pd.DataFrame) -> list[str]:
    """From which step on each scale orders its recipes as at the last one, on all tasks."""
    told = []
    for scale, part in before.groupby("scale", sort=False):
        final = _means(rows[rows["scale"] == scale]).unstack("recipe")
        starts = []
        for task, mine in part.groupby("task", sort=False):
            if task not in final.index:
                continue
            end = final.loc[task]
            steps = mine.groupby(["step", "recipe"])["value"].mean().unstack("recipe").sort_index()
            starts.append(_start(steps, end, float(rows.loc[rows["scale"] == scale, "step"].max())))
        if starts:
            last = float(rows.loc[rows["scale"] == scale, "step"].max())
            when = (
                f"from step {_step(max(starts))} on"
                if max(starts) < last
                else "only at its last step"
            )
            told.append(
                f"{scale} orders its recipes as at step {_step(last)} {when} "
                f"(Spearman ≥ {SETTLED} on every task)"
            )
    return told


def _means(rows: pd.DataFrame) -> pd.Series[Any]:
    return rows.groupby(["task", "recipe"])["value"].mean()


def _start(steps: pd.DataFrame, end: pd.Series[Any], last: float) -> float:
    """The step from which on all orders are like the last one."""
    start = last
    for step in reversed(steps.index):
        row = steps.loc[step].dropna()
        both = row.index.intersection(end.dropna().index)
        if len(both) < 3 or row[both].nunique() < 2 or end[both].nunique() < 2:
            break
        if row[both].rank().corr(end[both].rank()) < SETTLED:
            break
        start = float(step)
    return start
