"""Anybody's runs: tables of losses or metrics as the two tidy tables, and what was made of them.

A run is one (scale, recipe, seed). Rows that repeat are seeds only where somebody says so, and
checkpoints where a column says so. A metric of which higher is better is negated, so that lower is
better throughout.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.progress import few
from proxyscale.tables.checkpoints import last_checkpoints, settled
from proxyscale.tables.costs import run_rows
from proxyscale.tables.directions import Metric, directions, directions_told
from proxyscale.tables.files import read_sheets
from proxyscale.tables.repeats import single_values
from proxyscale.tables.sizes import amount, named
from proxyscale.tables.tidy import tidy

SHOWN = 6


class OutsideRuns(NamedTuple):
    """Tables of the schemas losses, runs and checkpoints, and in words how they were read."""

    losses: pa.Table
    runs: pa.Table
    checkpoints: pa.Table  # what was measured before the last one; mostly empty
    notes: list[str]


def read_outside_runs(
    files: Mapping[str, str | Sequence[str]], spec: Mapping[str, Any]
) -> OutsideRuns:
    """Losses and runs, as tables of these schemas.

    `files`: scale → its tables; those named "" hold any. `spec`: the words of the config's `runs`
    (`outside_config.Runs`).
    UserError for what cannot be read, for rows that repeat and nobody says why, and where nothing
    is left to compare.
    """
    frames = [
        tidy(sheet, scale, spec)
        for scale, paths in files.items()
        for sheet in read_sheets([paths] if isinstance(paths, str) else paths, spec["header"])
    ]
    rows = pd.concat(frames, ignore_index=True)
    notes: list[str] = []
    better = _named_tasks(rows, spec)
    rows = _chosen_scales(rows, spec)
    _check_names(rows, notes)
    rows["value"] = np.where(rows["task"].map(better) == "higher", -rows["value"], rows["value"])
    rows, before = last_checkpoints(rows, notes)
    rows = _without_holes(single_values(rows, spec, notes), notes)
    notes += directions_told({task: better[task] for task in rows["task"].unique()})
    losses = _schema(rows, "losses", better)
    kept = before[before["told"] == ""]
    checkpoints = _schema(kept[kept["recipe"].isin(rows["recipe"].unique())], "checkpoints", better)
    notes += settled(rows, kept)
    runs = run_rows(rows, spec, notes)
    return OutsideRuns(losses, runs, checkpoints, notes)


def _named_tasks(rows: pd.DataFrame, spec: Mapping[str, Any]) -> dict[str, str]:
    """Give every row its task's whole name; task → which of its values are better."""
    globs = [spec["metrics"]] if isinstance(spec["metrics"], str) else list(spec["metrics"] or ())
    pairs = rows[["task", "metric", "direction"]].drop_duplicates(["task", "metric"])
    metrics = list(dict.fromkeys(pairs["metric"]))
    short = short_names(metrics, globs)
    several = len(metrics) > 1

    def name(base: str, metric: str) -> str:
        if not base:
            return short[metric]
        return f"{base}/{short[metric]}" if several else base

    told = {(t, m): name(t, m) for t, m in zip(pairs["task"], pairs["metric"], strict=True)}
    found = [
        Metric(told[t, m], m, t, d or None)
        for t, m, d in zip(pairs["task"], pairs["metric"], pairs["direction"], strict=True)
    ]
    better = directions(found, spec["direction"])
    keys = zip(rows["task"], rows["metric"], strict=True)
    rows["task"] = [told[key] for key in keys]
    return better


def short_names(metrics: Sequence[str], globs: Sequence[str]) -> dict[str, str]:
    """What a glob's only star stands for in each name; the whole names where that is not unique."""
    short = {metric: short_name(metric, globs) for metric in metrics}
    return short if len(set(short.values())) == len(short) else {m: m for m in metrics}


def short_name(metric: str, globs: Sequence[str]) -> str:
    """What a glob's only star stands for in a column's name; else the whole name."""
    for glob in globs:
        before, star, after = glob.partition("*")
        if star and not set(after) & set("*?[") and fnmatch.fnmatchcase(metric, glob):
            return metric[len(before) : len(metric) - len(after)] or metric
    return metric


def _chosen_scales(rows: pd.DataFrame, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Scales with what tells their runs apart in their names, and those that are chosen."""
    several = rows.groupby("scale", sort=False)["by"].nunique()
    apart = rows["scale"].map(several) > 1
    rows["size"] = rows["scale"].map({name: named(name) for name in several.index})
    rows["scale"] = np.where(apart, rows["scale"] + "-" + rows["by"], rows["scale"])
    known = list(dict.fromkeys(rows["scale"]))
    for glob in spec["only_scales"] or ():
        if not any(name == glob or fnmatch.fnmatchcase(name, glob) for name in known):
            raise UserError("no such scale", where="runs.only_scales", value=glob, allowed=known)
    for name in spec["scales"]:
        if name not in known:
            raise UserError("no such scale", where="runs.scales", value=name, allowed=known)
    if spec["only_scales"]:
        kept = [
            n
            for n in known
            if any(n == g or fnmatch.fnmatchcase(n, g) for g in spec["only_scales"])
        ]
        rows = rows[rows["scale"].isin(kept)].reset_index(drop=True)
    return rows


def _check_names(rows: pd.DataFrame, notes: list[str]) -> None:
    """UserError for a scale that is written in two ways; a note for recipes that differ in case."""
    known: dict[Any, str] = {}
    for name in rows["scale"].unique():
        size = amount(name)
        other = known.setdefault(name.casefold() if math.isnan(size) else size, name)
        if other != name:
            raise UserError(
                f"{other} and {name} seem to be one scale in two ways of writing",
                where="runs.table",
                hint="write it in one; or --scales, if one of them is not meant",
            )
    recipes: dict[str, list[str]] = {}
    for name in rows["recipe"].unique():
        recipes.setdefault(name.casefold(), []).append(name)
    alike = [" and ".join(names) for names in recipes.values() if len(names) > 1]
    if alike:
        notes.append(f"recipes that differ in case alone are different ones: {few(alike, SHOWN)}")


def _without_holes(rows: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Without the recipes that lack a value of a metric at a scale; which, is told."""
    empty = rows[rows["told"] != ""]
    if not len(empty):
        return rows
    key = ["scale", "recipe", "task"]
    holes = empty.drop_duplicates(key)
    shown = [
        f"{row['scale']} / {row['recipe']} / {row['task']} ({row['told']}, row {row['row']})"
        for row in holes.head(SHOWN).to_dict("records")
    ]
    more = f" and {len(holes) - SHOWN} more" if len(holes) > SHOWN else ""
    notes.append(
        f"no number, so the recipe is left out of that metric there: {'; '.join(shown)}{more}"
    )
    gone = pd.MultiIndex.from_frame(holes[key])
    kept = rows[~pd.MultiIndex.from_frame(rows[key]).isin(gone)]
    if not len(kept):
        raise UserError("no recipe has a number", where="runs.table")
    return kept.reset_index(drop=True)


def _schema(rows: pd.DataFrame, kind: str, better: Mapping[str, str]) -> pa.Table:
    """The rows as a table of the schema losses, or checkpoints, which has the step as well."""
    named = {"scale": "scale", "recipe": "distribution", "seed_number": "seed", "task": "task",
             "example_number": "example", "value": "loss"}  # fmt: skip
    columns: dict[str, Any] = {new: rows[old].to_numpy() for old, new in named.items()}
    columns["draw"] = np.zeros(len(rows), dtype=np.int64)
    columns["better"] = rows["task"].map(better).to_numpy(dtype=object)
    if kind == "checkpoints":
        columns["step"] = rows["step"].to_numpy()
    return artifacts.conform(pa.table({k: pa.array(v) for k, v in columns.items()}), kind)
