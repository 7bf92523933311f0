"""Mixture weights by recipe: a table of shares, or a refusal."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from proxyscale.base.errors import UserError
from proxyscale.tables.columns import MODEL, USUAL
from proxyscale.tables.directions import by_name
from proxyscale.tables.files import read_sheet
from proxyscale.tables.sheet import Sheet
from proxyscale.tables.values import Array, looks_numeric, names, numbers

NEAR = 0.01  # of the whole, by which the sum of the shares may miss it
NO_SHARES = {*MODEL} | {n for what in USUAL for n in USUAL[what] if what != "recipe"}


class Weights(NamedTuple):
    """Recipe → its shares, of the sources that the columns name."""

    columns: list[str]
    shares: dict[str, list[float]]

    def told(self) -> str:
        """Which columns were taken."""
        return f"mixture weights of {len(self.shares)} recipes: {', '.join(self.columns)}"


def read_weights(
    path: str | Path, columns: str, recipe: str | Sequence[str] | None, any_name: bool = False
) -> Weights:
    """The weights of a table with a row a recipe; `columns` is a glob of those that hold them.

    UserError for a recipe in two rows, for a column that is no share (a metric, seed, step, size
    or the like, unless sources may have `any_name`), for a number below 0 and for rows that do not
    sum to 1, or all to 100, within 1 %.
    """
    sheet = read_sheet(str(path))
    key = _key(sheet, recipe)
    cells = [names(sheet.frame[name]) for name in key]
    recipes = [",".join(parts) for parts in zip(*cells, strict=True)]
    first: dict[str, int] = {}
    for row, name in enumerate(recipes, 1):
        if first.setdefault(name, row) != row:
            raise UserError(
                f"recipe {name} stands in rows {first[name]} and {row}", where=sheet.path
            )
    chosen = _chosen(sheet, columns, key)
    if not any_name:
        _refuse_metrics(sheet, chosen)
    shares = np.stack([_column(sheet, name) for name in chosen], axis=1)
    _refuse_sums(sheet, recipes, shares)
    return Weights(chosen, dict(zip(recipes, shares.tolist(), strict=True)))


def _key(sheet: Sheet, recipe: str | Sequence[str] | None) -> list[str]:
    """The columns that name the recipe."""
    columns = list(sheet.frame.columns)
    if recipe:
        given = [recipe] if isinstance(recipe, str) else list(recipe)
        for name in given:
            if name not in columns:
                where = f"{sheet.path}: runs.weights.recipe"
                raise UserError("no such column", where=where, value=name, allowed=columns)
        return given
    usual = next((c for u in USUAL["recipe"] for c in columns if c.lower() == u), None)
    if usual is None:
        raise UserError("no column names the recipe", where=sheet.path, allowed=columns)
    return [usual]


def _chosen(sheet: Sheet, glob: str, key: Sequence[str]) -> list[str]:
    """Columns of shares: those that the glob names. UserError for one that cannot be one."""
    numeric = [n for n in sheet.frame.columns if looks_numeric(sheet.frame[n])]
    chosen = [n for n in numeric if (n == glob or fnmatch.fnmatchcase(n, glob))]
    if glob not in key:  # shares may name their recipe themselves: --recipe w1,w2
        chosen = [name for name in chosen if name not in key or len(key) > 1]
    if not chosen:
        where, message = (
            f"{sheet.path}: runs.weights.columns",
            f"no column of numbers matches {glob!r}",
        )
        raise UserError(message, where=where, value=glob, allowed=sheet.frame.columns)
    return chosen


def _refuse_metrics(sheet: Sheet, chosen: Sequence[str]) -> None:
    """UserError for a column that is called as a metric, seed, step or size is."""
    for name in chosen:
        if name.lower() in NO_SHARES or by_name(name):
            raise UserError(
                f"column {name} looks like no share of a mixture",
                where=f"{sheet.path}: runs.weights.columns",
                hint="name the columns of shares by a glob: --weights-columns 'train_*'",
            )


def _column(sheet: Sheet, name: str) -> Array:
    read = numbers(sheet.frame[name], f"{sheet.path}, column {name}", sheet.comma)
    wrong = np.flatnonzero(~(read.values >= 0))
    if len(wrong):
        row = int(wrong[0])
        what = read.told.get(row) or (
            "absent" if np.isnan(read.values[row]) else f"{read.values[row]:g}"
        )
        raise UserError(f"row {row + 1}, column {name}: {what} is no share", where=sheet.path)
    return read.values


def _refuse_sums(sheet: Sheet, recipes: Sequence[str], shares: Array) -> None:
    """UserError for the first row whose shares are not those of a whole."""
    sums = shares.sum(axis=1)
    whole = 100.0 if abs(sums[0] - 100) <= 100 * NEAR else 1.0
    wrong = np.flatnonzero(np.abs(sums - whole) > whole * NEAR)
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"row {row + 1}: the shares of {recipes[row]} sum to {sums[row]:.4g}, not to {whole:g}",
            where=sheet.path,
            hint="columns that are no shares are left out by a glob: --weights-columns 'train_*'",
        )
