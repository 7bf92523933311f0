"""Anybody's runs: a table of losses or metrics, long or wide, as the two tidy tables.

A run is one (scale, recipe, seed); rows that repeat are seeds where no column tells them apart.
Metrics of which higher is better are negated, so that lower is better throughout. A recipe that
some scale lacks has no partner there: its runs get the role `unpaired` and enter no statistic.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.cost import training_flops
from proxyscale.base.errors import UserError
from proxyscale.base.progress import quantity
from proxyscale.statistics.grid import read_grid
from proxyscale.statistics.measures import is_higher

USUAL = {
    "recipe": ("recipe", "distribution", "mixture", "data", "index"),
    "scale": ("scale", "size", "model"),
    "parameters": ("parameters", "params"),
    "tokens": ("tokens",),
    "seed": ("seed",),
    "task": ("task",),
    "example": ("example",),
}
READERS = {
    ".csv": pd.read_csv,
    ".tsv": lambda path: pd.read_csv(path, sep="\t"),
    ".parquet": pd.read_parquet,
    ".jsonl": lambda path: pd.read_json(path, lines=True),
}
PACKED = (".gz", ".bz2", ".xz", ".zst")
SIZE = re.compile(r"(\d+(?:\.\d+)?)([kmbgt])", re.IGNORECASE)  # 60M, 1.3b
UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
RUN = ["scale", "recipe", "seed"]


def read_own_runs(
    files: Mapping[str, str | Path], spec: Mapping[str, Any]
) -> tuple[pa.Table, pa.Table]:
    """Losses and runs, as tables of these schemas.

    `files`: scale → its table; one named "" holds them all. `spec`: columns, metrics, direction,
    scales, tokens_per_parameter (`runs_config.Runs`).
    UserError for what cannot be read, for a value that is given twice, for a hole in what is
    paired, and if no recipe has a partner at every scale.
    """
    parts = [_tidy(read_table(path), scale, spec, path) for scale, path in files.items()]
    frame = _seeded(pd.concat(parts, ignore_index=True))
    higher = [task for task in frame["task"].unique() if is_higher(task, spec["direction"])]
    frame.loc[frame["task"].isin(higher), "loss"] *= -1
    runs = _runs(frame, spec)
    losses = frame.rename(columns={"recipe": "distribution"}).assign(draw=0)
    names = ["scale", "distribution", "draw", "seed", "task", "example", "loss"]
    found = (
        artifacts.conform(pa.Table.from_pandas(losses[names], preserve_index=False), "losses"),
        artifacts.conform(pa.Table.from_pandas(runs, preserve_index=False), "runs"),
    )
    read_grid(*found)
    return found


def unpaired(runs: pa.Table) -> dict[str, list[str]]:
    """Scale → its recipes without a partner at every other scale."""
    found: dict[str, list[str]] = {}
    for row in runs.select(["scale", "distribution", "role"]).to_pylist():
        if row["role"] == "unpaired" and row["distribution"] not in found.setdefault(
            row["scale"], []
        ):
            found[row["scale"]].append(row["distribution"])
    return found


class Weights(NamedTuple):
    """Recipe → its shares, of the sources that the columns name."""

    columns: list[str]
    shares: dict[str, list[float]]


def read_weights(path: str | Path, columns: str, recipe: str | None) -> Weights:
    """The mixture weights of the columns that a glob names. UserError as above."""
    frame = read_table(path)
    key = _column(frame, "recipe", recipe, path)
    if key is None:
        raise UserError("no column names the recipe", where=str(path), allowed=frame.columns)
    chosen = [name for name in _globbed(frame, [columns], path) if name != key]
    rows = frame[chosen].to_numpy(dtype=float)
    return Weights(chosen, dict(zip(_names(frame[key]), rows.tolist(), strict=True)))


def read_table(path: str | Path) -> pd.DataFrame:
    """A CSV, TSV, parquet or jsonl file, packed or not. UserError if that is not what it is."""
    kind = next((s for s in reversed(Path(path).suffixes) if s not in PACKED), "")
    if kind not in READERS:
        raise UserError("not a kind of table", where=str(path), value=kind, allowed=list(READERS))
    try:
        frame = READERS[kind](path)
    except FileNotFoundError:
        raise UserError(f"no such file: {path}", where="runs.table") from None
    except (ValueError, pa.ArrowInvalid) as error:
        raise UserError(f"not a {kind} table: {error}", where=str(path)) from None
    if not len(frame):
        raise UserError("the table has no rows", where=str(path))
    return frame.rename(columns=str)


def _column(frame: pd.DataFrame, what: str, named: str | None, path: str | Path) -> str | None:
    """The column that holds `what`: the named one, else a usual one, else none."""
    if named is not None and named not in frame.columns:
        where = f"{path}: runs.columns.{what}"
        raise UserError("no such column", where=where, value=named, allowed=frame.columns)
    return named or next((name for name in USUAL[what] if name in frame.columns), None)


def _globbed(frame: pd.DataFrame, globs: Sequence[str], path: str | Path) -> list[str]:
    """Numeric columns that the globs name, in the table's order. UserError for an idle glob."""
    numeric = list(frame.select_dtypes("number").columns)
    for glob in globs:
        if not fnmatch.filter(numeric, glob):
            where = f"{path}: runs.metrics"
            message = f"no column of numbers matches {glob!r}"
            raise UserError(message, where=where, value=glob, allowed=numeric or frame.columns)
    return [name for name in numeric if any(fnmatch.fnmatchcase(name, glob) for glob in globs)]


def _names(column: pd.Series[Any]) -> list[str]:
    """Values as names: whole numbers without a point."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return [str(value) for value in column]


def _tidy(
    frame: pd.DataFrame, scale: str, spec: Mapping[str, Any], path: str | Path
) -> pd.DataFrame:
    """One row a value: scale, recipe, seed, task, example, loss, parameters, tokens."""
    named = {what: _column(frame, what, spec["columns"].get(what), path) for what in USUAL}
    globs = [spec["metrics"]] if isinstance(spec["metrics"], str) else list(spec["metrics"])
    keys = [name for name in named.values() if name is not None]
    metrics = [m for m in _globbed(frame, globs, path) if m not in keys]
    if named["recipe"] is None:
        raise UserError(
            "no column names the recipe (what each run was trained on)",
            where=f"{path}: runs.columns.recipe",
            allowed=frame.columns,
        )
    tidy = pd.DataFrame({"recipe": _names(frame[named["recipe"]])})
    for what in ("parameters", "tokens"):
        column = named[what]
        tidy[what] = np.nan if column is None else frame[column].astype(float)
    tidy["scale"] = scale or _scale(frame, named, tidy, path)
    for what in ("seed", "example"):
        column = named[what]
        tidy[what] = -1 if column is None else _numbered(frame[column])
    tidy["task"] = "" if named["task"] is None else _names(frame[named["task"]])
    if (empty := frame[keys].isna().any(axis=1)).any():
        line = int(np.flatnonzero(empty)[0]) + 1
        raise UserError(f"row {line} lacks a value in {', '.join(keys)}", where=str(path))
    return pd.concat(_melted(frame, tidy, metrics, globs), ignore_index=True)


def _melted(
    frame: pd.DataFrame, tidy: pd.DataFrame, metrics: Sequence[str], globs: Sequence[str]
) -> Iterator[pd.DataFrame]:
    """The tidy rows of each metric; a value that is absent is no row."""
    for metric in metrics:
        part = tidy.assign(loss=frame[metric].astype(float))
        name = short_name(metric, globs)
        if (tidy["task"] == "").all():
            part["task"] = name
        elif len(metrics) > 1:
            part["task"] = part["task"] + "/" + name
        yield part[part["loss"].notna()]


def short_name(metric: str, globs: Sequence[str]) -> str:
    """What a glob's only star stands for in a column's name; else the whole name."""
    for glob in globs:
        before, star, after = glob.partition("*")
        if star and not set(after) & set("*?[") and fnmatch.fnmatchcase(metric, glob):
            return metric[len(before) : len(metric) - len(after)] or metric
    return metric


def _scale(
    frame: pd.DataFrame, named: Mapping[str, str | None], tidy: pd.DataFrame, path: str | Path
) -> list[str]:
    """Names of the scales: their column's, else made of parameters and, where needed, tokens."""
    if named["scale"] is not None:
        return _names(frame[named["scale"]])
    if named["parameters"] is None:
        raise UserError(
            "no column names the scale (the model's size)",
            where=f"{path}: runs.columns.scale",
            allowed=frame.columns,
            hint="or give one file for each scale: 1M=a.csv 60M=b.csv",
        )
    budgets = tidy.groupby("parameters")["tokens"].nunique()
    several = bool((budgets > 1).any())
    return [
        quantity(p) + (f"-{quantity(t)}" if several else "")
        for p, t in zip(tidy["parameters"], tidy["tokens"], strict=True)
    ]


def _numbered(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Whole numbers as they are, anything else by its place among the sorted values."""
    if pd.api.types.is_integer_dtype(column) and column.min() >= 0 and column.max() < 2**32:
        return np.asarray(column.to_numpy(dtype=np.int64))
    return np.asarray(pd.factorize(column, sort=True)[0].astype(np.int64))


def _seeded(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with every run's seed; repeated rows are seeds where no column tells them."""
    key = ["scale", "recipe", "task", "example"]
    known = frame["seed"] >= 0
    repeated = frame.groupby([*key, "seed"]).cumcount()
    if (known & (repeated > 0)).any():
        row = frame[known & (repeated > 0)].iloc[0]
        raise UserError(
            f"two values for {row['scale']} / {row['recipe']} / {row['task']}, seed {row['seed']}",
            where="runs.table",
            hint="name the column that tells them apart (seed, example), or keep the final "
            "checkpoint alone",
        )
    return frame.assign(
        seed=frame["seed"].where(known, repeated), example=frame["example"].clip(lower=0)
    )


def _runs(frame: pd.DataFrame, spec: Mapping[str, Any]) -> pd.DataFrame:
    """One row a run, scales by their parameters; role `grid` if every scale has the recipe."""
    scales = sorted(frame["scale"].unique(), key=lambda name: _parameters(frame, spec, name))
    for name in spec["scales"]:
        if name not in scales:
            raise UserError("no such scale", where="runs.scales", value=name, allowed=scales)
    recipes = {name: set(frame.loc[frame["scale"] == name, "recipe"]) for name in scales}
    paired = set.intersection(*recipes.values())
    if not paired:
        few = "; ".join(f"{name}: {', '.join(sorted(r)[:3])}, …" for name, r in recipes.items())
        raise UserError(f"no recipe is in the table at every scale ({few})", where="runs.table")
    runs = frame.groupby(RUN, sort=False)[["parameters", "tokens"]].max().reset_index()
    runs = runs.sort_values("scale", key=lambda s: s.map(scales.index), kind="stable")
    for name in scales:
        rows = runs["scale"] == name
        cost = _cost(frame, spec, name)
        for key, value in cost.items():
            runs.loc[rows, key] = value
    runs["role"] = np.where(runs["recipe"].isin(paired), "grid", "unpaired")
    whole = runs[["parameters", "tokens"]].round().astype("Int64")
    runs = runs.assign(parameters=whole["parameters"], tokens=whole["tokens"], draw=0)
    return runs.rename(columns={"recipe": "distribution"})


def _parameters(frame: pd.DataFrame, spec: Mapping[str, Any], scale: str) -> float:
    """Parameters of a scale; infinite where nothing tells them."""
    value = _cost(frame, spec, scale)["parameters"]
    return np.inf if np.isnan(value) else value


def _cost(frame: pd.DataFrame, spec: Mapping[str, Any], scale: str) -> dict[str, float]:
    """Parameters, tokens and FLOPs of one run: as said, else the table's, else the name's."""
    said = spec["scales"].get(scale, {})
    found = frame.loc[frame["scale"] == scale, ["parameters", "tokens"]].median()
    parameters = said.get("parameters") or found["parameters"]
    if np.isnan(parameters) and (size := SIZE.fullmatch(scale)):
        parameters = float(size[1]) * UNITS[size[2].lower()]
    tokens = said.get("tokens") or found["tokens"]
    if np.isnan(tokens) and spec["tokens_per_parameter"]:
        tokens = spec["tokens_per_parameter"] * parameters
    flops = training_flops(parameters, tokens)
    return {"parameters": float(parameters), "tokens": float(tokens), "flops": float(flops)}
