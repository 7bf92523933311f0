"""Which column holds what: as it is named, else by a usual name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from proxyscale.base.errors import UserError
from proxyscale.tables.sheet import UNNAMED, Sheet

USUAL = {
    "recipe": ("recipe", "distribution", "mixture", "data", "dataset", "corpus", UNNAMED),
    "scale": ("scale", "size", "model_size"),
    "parameters": ("parameters", "params", "num_params", "n_params"),
    "tokens": ("tokens", "train_tokens", "num_tokens", "n_tokens"),
    "flops": ("flops", "compute", "train_flops"),
    "seed": ("seed",),
    "step": ("step", "checkpoint"),
    "task": ("task", "benchmark"),
    "metric": ("metric",),
    "example": ("example", "example_id"),
}
MODEL = ("model", "model_name", "name", "run", "run_name")
Roles = dict[str, list[str]]  # what → its columns


def roles(sheet: Sheet, spec: Mapping[str, Any]) -> Roles:
    """The columns of each role; a column has one. UserError for a name that no column has.

    `spec`: `columns` by role (a recipe may have several), and those to `ignore`.
    """
    frame = sheet.frame
    found: Roles = {}
    for what, given in spec["columns"].items():
        for name in [given] if isinstance(given, str) else given or ():
            _known(frame, name, f"{sheet.path}: runs.columns.{what}")
            found.setdefault(what, []).append(name)
    taken = {name for names in found.values() for name in names} | set(spec["ignore"] or ())
    for what, usual in USUAL.items():
        if what not in found:
            free = (n for u in usual for n in frame.columns if n.lower() == u and n not in taken)
            if name := next(free, None):
                found[what] = [name]
                taken.add(name)
    if not {"scale", "parameters", "flops"} & set(found):
        # what is called a model tells its size where nothing else does
        models = (n for n in frame.columns if n.lower() == "model" and n not in taken)
        if name := next(models, None):
            found["scale"] = [name]
    return found


def _known(frame: pd.DataFrame, name: str, where: str) -> None:
    if name not in frame.columns:
        raise UserError("no such column", where=where, value=name, allowed=frame.columns)


def unnamed_index(frame: pd.DataFrame, found: Roles) -> list[str]:
    """The column that a data frame's index became, if it has no role."""
    used = {name for names in found.values() for name in names}
    return [UNNAMED] if UNNAMED in frame.columns and UNNAMED not in used else []


PATTERN_FIELDS = ("recipe", "scale", "seed", "step", "tokens")


def pattern_form(pattern: str) -> re.Pattern[str]:
    """`{recipe}-{scale}` as a regular expression. UserError for a field that there is not.

    The recipe takes as much as it can, `{_}` is anything, of which nothing is made.
    """
    parts = re.split(r"\{(\w*)\}", pattern)
    form, seen = "", set()
    for i, part in enumerate(parts):
        if i % 2 == 0:
            form += re.escape(part)
        elif part == "_":
            form += ".*?"
        elif part in PATTERN_FIELDS and part not in seen:
            form += f"(?P<{part}>.+)" if part == "recipe" else f"(?P<{part}>.+?)"
            seen.add(part)
        else:
            message = "no such field" if part not in PATTERN_FIELDS else "this field stands twice"
            allowed = [f"{{{name}}}" for name in PATTERN_FIELDS]
            raise UserError(message, where="runs.pattern", value=f"{{{part}}}", allowed=allowed)
    if not seen:
        raise UserError(
            "no field stands in it", where="runs.pattern", value=pattern, hint="'{recipe}-{scale}'"
        )
    return re.compile(form)


def matches(form: re.Pattern[str], cells: Iterable[str]) -> list[re.Match[str] | None]:
    """Each cell's match."""
    return [form.fullmatch(cell) for cell in cells]


def first_unmatched(found: Sequence[re.Match[str] | None], cells: Sequence[str]) -> str:
    """The first cell that has no match."""
    return next(cell for match, cell in zip(found, cells, strict=True) if match is None)
