"""A sheet as tidy rows: one a value, with what it was measured on and what it took."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from proxyscale.base.errors import UserError
from proxyscale.tables.columns import MODEL, Roles, roles, unnamed_index
from proxyscale.tables.layouts import VALUE, arranged
from proxyscale.tables.sheet import ABSENT, Sheet
from proxyscale.tables.sizes import amount, short
from proxyscale.tables.values import Array, looks_numeric, names, numbers

EXTRA = "extra: "  # before the name of a column that nobody named
LAST = ("final", "last", "main", "latest", "end")
COSTS = ("parameters", "tokens", "flops")
DEFAULT = ("loss", VALUE)


def tidy(sheet: Sheet, scale: str, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of recipe, scale, by, seed, step, example, task (the test set), metric, value, what was
    told instead of a value, parameters, tokens, flops, file, row, direction, and extra columns.

    `scale` is the file's, "" where a column names it. UserError for what cannot be read.
    """
    sheet = arranged(sheet, spec, scale)
    found = roles(sheet, spec)
    for name in spec["by"] or ():
        if name not in sheet.frame.columns:
            where = f"{sheet.path}: runs.by"
            raise UserError("no such column", where=where, value=name, allowed=sheet.frame.columns)
        if found.get("step") == [name]:
            del found["step"]
    base = _base(sheet, scale, found, spec)
    parts = []
    for column, cells, rows in _metrics(sheet, found, spec):
        read = numbers(cells, f"{sheet.path}, column {column}", sheet.comma)
        told = np.full(len(cells), "", dtype=object)
        for row, word in read.told.items():
            told[row] = word
        there = np.isfinite(read.values) | (told != "")
        values, words = read.values[there], told[there]
        parts.append((rows[there], values, words, np.full(len(values), column, dtype=object)))
    place, values, words, metrics = (np.concatenate(part) for part in zip(*parts, strict=True))
    rows = base.iloc[place].assign(value=values, told=words).reset_index(drop=True)
    if "metric" not in rows:
        rows["metric"] = metrics
    if not len(rows):
        raise UserError("no value stands in the columns of metrics", where=sheet.path)
    rows["direction"] = [sheet.better.get(metric, "") for metric in rows["metric"]]
    return rows


def _base(sheet: Sheet, scale: str, found: Roles, spec: Mapping[str, Any]) -> pd.DataFrame:
    """What every row says besides its values."""
    frame = sheet.frame
    if "recipe" not in found:
        models = [name for name in frame.columns if name.lower() in MODEL]
        if not (scale and models):
            raise UserError(
                "no column names the recipe (what each run was trained on)",
                where=f"{sheet.path}: runs.columns.recipe",
                allowed=frame.columns,
                hint=_pattern_hint(sheet, models),
            )
        found["recipe"] = models[:1]  # of a file that holds one scale
    base = pd.DataFrame({"row": np.arange(1, len(frame) + 1)})
    columns = [names(frame[name]) for name in found["recipe"]]
    base["recipe"] = [",".join(cells) for cells in zip(*columns, strict=True)]
    _refuse_empty(sheet, found["recipe"], columns)
    for what in COSTS:
        base[what] = _amounts(sheet, found[what][0]) if what in found else np.nan
    base["scale"] = scale or _scales(sheet, found, base)
    for what in ("seed", "task", "example", "metric"):
        if what in found:
            cells = names(frame[found[what][0]])
            if not (frame[found[what][0]] == ABSENT).any():  # averages beside single examples
                _refuse_empty(sheet, found[what], [cells])
            base[what] = cells
        elif what != "metric":
            base[what] = ""
    base["step"] = _steps(sheet, found["step"][0]) if "step" in found else np.nan
    base["by"] = _by(sheet, found, base, spec["by"] or ())
    for name in _extras(base, frame, found, spec):
        base[EXTRA + name] = names(frame[name])
    return base.assign(file=sheet.path)


def _pattern_hint(sheet: Sheet, models: Sequence[str]) -> str | None:
    if not models:
        return None
    first = names(sheet.frame[models[0]])[0]
    return f"names such as {first!r} are parted by --pattern '{{recipe}}-{{scale}}'"


def _refuse_empty(sheet: Sheet, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    for name, column in zip(columns, cells, strict=True):
        if "" in column:
            raise UserError(f"row {column.index('') + 1} lacks a value in {name}", where=sheet.path)


def _amounts(sheet: Sheet, name: str) -> Array:
    """Parameters, tokens or FLOPs, in numbers or words; NaN where the cell is empty."""
    column = sheet.frame[name]
    cells = names(column) if column.dtype == object else list(column)
    known: dict[Any, float] = {"": np.nan}
    for row, cell in enumerate(cells, 1):
        if cell not in known:
            known[cell] = amount(cell)
            if np.isnan(known[cell]) and not (isinstance(cell, float) and np.isnan(cell)):
                message = f"row {row}, column {name}: {cell!r} is no size"
                hint = f"350M, 7e9 or 7B; or --ignore {name}"
                raise UserError(message, where=sheet.path, hint=hint)
    return np.array([known[cell] for cell in cells])


def _scales(sheet: Sheet, found: Roles, base: pd.DataFrame) -> list[str]:
    """Names of the scales: their column's, else of parameters, else of compute."""
    if "scale" in found:
        cells = names(sheet.frame[found["scale"][0]])
        _refuse_empty(sheet, found["scale"], [cells])
        return cells
    for what in ("parameters", "flops"):
        if what in found:
            cells = names(sheet.frame[found[what][0]])
            _refuse_empty(sheet, found[what], [cells])
            written = all(isinstance(c, str) for c in sheet.frame[found[what][0]])
            plain = all(re.fullmatch(r"\d+(\.\d+)?", cell) for cell in cells)
            return cells if written and not plain else [short(v) for v in base[what]]
    raise UserError(
        "no column names the scale (the model's size)",
        where=f"{sheet.path}: runs.columns.scale",
        allowed=sheet.frame.columns,
        hint="or give one file for each scale: 1M=a.csv 60M=b.csv",
    )


def _steps(sheet: Sheet, name: str) -> Array:
    """Steps of checkpoints: numbers, or names such as step1000 and final (the last)."""
    cells = names(sheet.frame[name])
    known: dict[str, float] = dict.fromkeys(LAST, np.inf)
    for row, cell in enumerate(cells, 1):
        if cell.lower() not in known:
            number = amount(cell) if cell != "0" else 0.0
            if np.isnan(number) and (digits := re.search(r"\d+", cell)):
                number = float(digits[0])
            if np.isnan(number):
                message = f"row {row}, column {name}: {cell!r} is no step"
                hint = f"--ignore {name} if it is no checkpoint"
                raise UserError(message, where=sheet.path, hint=hint)
            known[cell.lower()] = number
    return np.array([known[cell.lower()] for cell in cells])


def _by(sheet: Sheet, found: Roles, base: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """What tells runs of one scale and recipe apart."""
    columns = []
    for name in by:
        cost = next((what for what in COSTS if found.get(what) == [name]), None)
        cells = [short(v) for v in base[cost]] if cost else names(sheet.frame[name])
        _refuse_empty(sheet, [name], [cells])
        columns.append(cells)
    return [", ".join(cells) for cells in zip(*columns, strict=True)] if by else [""] * len(base)


def _extras(
    base: pd.DataFrame, frame: pd.DataFrame, found: Roles, spec: Mapping[str, Any]
) -> list[str]:
    """Columns that nobody named and that may tell runs apart: of words or whole numbers.

    One whose every cell is another (a run's name, an address, a time) tells nothing apart, and
    numbers with fractions are metrics, unless they are the same for every recipe (a learning rate).
    """
    used = {name for columns in found.values() for name in columns}
    used |= {*unnamed_index(frame, found), *(spec["ignore"] or ()), *(spec["by"] or ())}
    used |= {name for glob in _globs(spec) for name in frame.columns if _fits(name, glob)}
    place = base.groupby(["scale", "recipe", "task", "example"], sort=False).ngroup()
    repeated = place[place.duplicated(keep=False)]
    kept = []
    for name in (name for name in frame.columns if name not in used and name not in DEFAULT):
        cells = names(frame[name])
        some = set(cells)
        if len(some) < 2 or len(some) == len(cells):
            continue
        whole = all(re.fullmatch(r"-?\d+|", cell) for cell in some)
        if not looks_numeric(frame[name]) or whole or _are_settings(cells, repeated):
            kept.append(name)
    return kept


def _are_settings(cells: Sequence[str], repeated: pd.Series[Any]) -> bool:
    """Whether several recipes or scales have the same several values: chosen, not measured.

    `repeated`: of rows that stand where others do, the number of their place.
    """
    sets = pd.Series(cells)[repeated.index].groupby(repeated).agg(frozenset)
    several = sets[sets.map(len) > 1]
    return len(several) > 1 and several.nunique() == 1


def _globs(spec: Mapping[str, Any]) -> list[str]:
    given = spec["metrics"]
    return [given] if isinstance(given, str) else list(given or ())


def _fits(name: str, glob: str) -> bool:
    return name == glob or fnmatch.fnmatchcase(name, glob)


def _metrics(
    sheet: Sheet, found: Roles, spec: Mapping[str, Any]
) -> list[tuple[str, pd.Series[Any], Array]]:
    """(name, cells, rows) of each metric. UserError for a glob that matches none."""
    frame = sheet.frame
    used = {name for columns in found.values() for name in columns}
    free = [n for n in frame.columns if n not in used and n not in (spec["ignore"] or ())]
    numeric = [name for name in free if looks_numeric(frame[name])]
    globs, where = _globs(spec), f"{sheet.path}: runs.metrics"
    if "metric" in found:
        value = next((name for name in (VALUE, "result") if name in numeric), None)
        value = value or (numeric[0] if len(numeric) == 1 else None)
        if value is None:
            message = "a column names the metrics; which one holds their values?"
            raise UserError(
                message, where=where, allowed=numeric or frame.columns, hint=f"call it {VALUE!r}"
            )
        cells = np.array(names(frame[found["metric"][0]]), dtype=object)
        known = list(dict.fromkeys(cells))
        chosen = _chosen(known, globs, where) if globs else known
        rows = np.flatnonzero(np.isin(cells.astype(str), chosen))
        return [(value, frame[value].iloc[rows].reset_index(drop=True), rows)]
    everything = np.arange(len(frame))
    if not globs:
        usual = [n for u in DEFAULT for n in numeric if n.lower() == u][:1]
        if not usual:
            message = f"no column of numbers matches {DEFAULT[0]!r}"
            hint = "name the columns of losses or metrics: --metrics 'eval/*'"
            raise UserError(message, where=where, allowed=numeric or frame.columns, hint=hint)
        return [(usual[0], frame[usual[0]], everything)]
    return [(name, frame[name], everything) for name in _chosen(numeric, globs, where, frame)]


def _chosen(
    known: Sequence[str], globs: Sequence[str], where: str, frame: pd.DataFrame | None = None
) -> list[str]:
    """The names that the globs match, in their order. UserError for a glob that matches none."""
    for glob in globs:
        if not any(_fits(name, glob) for name in known):
            what = "metric" if frame is None else "column of numbers"
            allowed = known if known or frame is None else list(frame.columns)
            raise UserError(f"no {what} matches {glob!r}", where=where, value=glob, allowed=allowed)
    return [name for name in known if any(_fits(name, glob) for glob in globs)]
