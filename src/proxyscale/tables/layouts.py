"""Layouts that people have, turned into one row a run (or task, or example) with named columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from proxyscale.base.errors import UserError
from proxyscale.tables.columns import MODEL, USUAL, first_unmatched, matches, pattern_form, roles
from proxyscale.tables.json_layouts import expanded
from proxyscale.tables.sheet import ABSENT, Sheet
from proxyscale.tables.sizes import is_size
from proxyscale.tables.values import looks_numeric, names

VALUE = "value"  # what cells are called that a layout keeps under headings of another kind


def arranged(sheet: Sheet, spec: Mapping[str, Any], scale: str) -> Sheet:
    """The sheet with a column for each thing that names or headings tell.

    `spec`: `pattern` of the models' names, `columns`, `metrics`; `scale` is given where the file
    holds one. UserError for a name that the pattern does not fit.
    """
    sheet = expanded(sheet)
    if spec["pattern"]:
        return _by_pattern(sheet, spec)
    if scale or {"scale", "parameters", "flops"} & set(roles(sheet, spec)):
        return sheet
    sizes = [name for name in sheet.frame.columns if is_size(name)]
    return _melted(sheet, sizes, "scale", spec) if len(sizes) > 1 else sheet


def _by_pattern(sheet: Sheet, spec: Mapping[str, Any]) -> Sheet:
    """Columns from the names of the models, which are cells of a column or headings."""
    form, frame = pattern_form(spec["pattern"]), sheet.frame
    given = [v for v in spec["columns"].values() for v in ([v] if isinstance(v, str) else v or ())]
    usual = [*MODEL, *USUAL["recipe"], *USUAL["scale"]]
    candidates = [n for n in (*given, *frame.columns) if n in given or n.lower() in usual]
    tried = {
        name: names(frame[name]) for name in dict.fromkeys(candidates) if name in frame.columns
    }
    for name, cells in tried.items():
        found = matches(form, cells)
        if all(found):
            return sheet.with_frame(_with_fields(frame, found, form, name))
    headings = [
        name for name in frame.columns if form.fullmatch(name) and looks_numeric(frame[name])
    ]
    if len(headings) > 1:
        melted = _melted(sheet, headings, "model", spec)
        found = matches(form, names(melted.frame["model"]))
        return melted.with_frame(_with_fields(melted.frame, found, form, "model"))
    message, allowed = f"no column's names are all like {spec['pattern']!r}", list(frame.columns)
    if tried:
        name, cells = next(iter(tried.items()))
        wrong = first_unmatched(matches(form, cells), cells)
        message, allowed = f"{wrong!r} of column {name} is not like {spec['pattern']!r}", []
    raise UserError(message, where=f"{sheet.path}: runs.pattern", allowed=allowed)


def _with_fields(frame: pd.DataFrame, found: Sequence[Any], form: Any, source: str) -> pd.DataFrame:
    """The frame with a column for each field instead of the one they come from."""
    fields = {
        field: pd.Series([match[field] for match in found], index=frame.index, dtype=object)
        for field in form.groupindex
    }
    clash = [field for field in fields if field in frame.columns and field != source]
    return frame.drop(columns=[source, *clash]).assign(**fields)


def _melted(sheet: Sheet, headings: Sequence[str], what: str, spec: Mapping[str, Any]) -> Sheet:
    """A row for each cell under these headings, which become the column `what`.

    The cells are called as the only metric that is named, else `value`. Where no column names the
    task, the only other column of words does, if the headings are models.
    """
    frame = sheet.frame
    others = [name for name in frame.columns if name not in headings]
    metrics = [spec["metrics"]] if isinstance(spec["metrics"], str) else list(spec["metrics"] or ())
    named = len(metrics) == 1 and not set(metrics[0]) & set("*?[") and metrics[0] not in others
    value = metrics[0] if named else VALUE
    if what in others:
        message = f"the headings {', '.join(headings[:3])} name a {what}, and so does a column"
        raise UserError(message, where=sheet.path)
    parts = [
        frame[others].assign(
            **{what: pd.Series(name, index=frame.index, dtype=object), value: frame[name]}
        )
        for name in headings
    ]
    melted = pd.concat(parts, ignore_index=True)
    if (
        what == "model"
        and "task" not in {n.lower() for n in others}
        and "task" not in roles(sheet, spec)
    ):
        words = [n for n in others if not looks_numeric(frame[n])]
        if len(words) == 1:
            melted = melted.rename(columns={words[0]: "task"})
    return sheet.with_frame(melted[melted[value] != ABSENT].reset_index(drop=True))
