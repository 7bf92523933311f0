"""The models of a study, one a row: out of a table, or of recipes, scales, seeds and steps."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from proxyscale.base.errors import UserError
from proxyscale.study.config_types import NAME
from proxyscale.study.models_config import Models

NEEDED = ("recipe", "scale")
PLACES = ("hub", "folder", "revision")
LAST = "end"  # the step of a model of which none is told


class OwnModel(NamedTuple):
    """A model: what it is, where it lies, what it took as far as the config tells."""

    scale: str
    recipe: str
    seed: str
    step: str
    hub: str | None
    folder: str | None
    revision: str | None
    parameters: float | None
    tokens: float | None

    @property
    def name(self) -> str:
        """What tells it from the others of its scale and recipe, as part of a path."""
        return f"{self.seed}@{self.step}"


def listed(section: Models) -> list[OwnModel]:
    """Every model. UserError for a row that lacks something or says it twice."""
    rows = _of_table(section.table) if section.table else list(_product(section))
    found = [_model(row, section, where) for where, row in rows]
    seen: dict[tuple[str, ...], str] = {}
    for model, (where, _) in zip(found, rows, strict=True):
        key = tuple(part.casefold() for part in (model.scale, model.recipe, model.name))
        if key in seen:
            told = f"{model.scale} / {model.recipe}, seed {model.seed}, step {model.step}"
            raise UserError(f"two models are {told}", where=where, hint="a column seed or step")
        seen[key] = where
    return found


def _of_table(path: str) -> list[tuple[str, dict[str, str]]]:
    """The rows of a table, each with its place; empty cells are absent."""
    from proxyscale.tables.files import read_sheets  # pyarrow takes a while to import
    from proxyscale.tables.values import names

    rows = []
    for sheet in read_sheets([path], None):
        columns = {str(name): names(sheet.frame[name]) for name in sheet.frame.columns}
        for missing in (name for name in NEEDED if name not in columns):
            message = f"no column is named {missing!r}"
            raise UserError(message, where=f"{path}: models.table", allowed=list(columns))
        for number in range(len(sheet.frame)):
            cells = {name: cells[number] for name, cells in columns.items() if cells[number]}
            rows.append((f"{path}, row {number + 1}", cells))
    return rows


def _product(section: Models) -> Iterator[tuple[str, dict[str, str]]]:
    """Every combination of recipe, scale, seed and step; what a scale says goes before."""
    recipes, scales = _entries(section.recipes), _entries(section.scales)
    seeds = _entries(section.seeds)
    for (recipe, ofrecipe), (scale, ofscale) in itertools.product(recipes.items(), scales.items()):
        given = {"seed": list(seeds), "step": section.steps} | ofrecipe | ofscale
        columns = {k: v if isinstance(v, list) else [v] for k, v in given.items() if v != []}
        for cells in itertools.product(*columns.values()):
            row = dict(zip(columns, map(str, cells), strict=True))
            row |= {name: str(cell) for name, cell in seeds.get(row["seed"], {}).items()}
            yield f"models: {scale} / {recipe}", {**row, "recipe": recipe, "scale": scale}


def _entries(named: Any) -> dict[str, dict[str, Any]]:
    if isinstance(named, Mapping):
        return {name: dict(columns or {}) for name, columns in named.items()}
    return {str(name): {} for name in named or ()}


def _model(row: Mapping[str, str], section: Models, where: str) -> OwnModel:
    for name in NEEDED:
        if name not in row:
            raise UserError(f"has no {name}", where=where)
    places = {name: _filled(getattr(section, name), row, name, where) for name in PLACES}
    if (places["hub"] is None) == (places["folder"] is None):
        told = "both hub and folder" if places["hub"] else "neither hub nor folder"
        raise UserError(f"has {told}", where=where, hint="models: {hub: owner/name-{scale}}")
    if places["revision"] and not places["hub"]:
        raise UserError("a folder has no revision", where=where)
    parts = (row["scale"], row["recipe"], row.get("seed", "0"), row.get("step", LAST))
    for name, value in zip(OwnModel._fields, parts, strict=False):
        if not re.fullmatch(NAME, value):
            message = f"{name} is {value!r}: letters, digits, '_', '.' and '-' alone"
            raise UserError(message, where=where)
    parameters = _amount(row, "parameters", where)
    tokens = _amount(row, "tokens", where)
    if tokens is None and section.tokens_per_step:
        step = _amount(row, "step", where)
        if step is None:
            raise UserError("has no step to tell its tokens by", where=where)
        tokens = step * section.tokens_per_step
    where_it_lies = (places["hub"], places["folder"], places["revision"])
    return OwnModel(*parts, *where_it_lies, parameters, tokens)


def _filled(template: str | None, row: Mapping[str, str], name: str, where: str) -> str | None:
    """The row's own column of that name, or else a template with its cells."""
    if name in row or template is None:
        return row.get(name)
    try:
        wanted = [field for _, field, *_ in string.Formatter().parse(template) if field is not None]
        for field in wanted:
            if field not in row:
                message = f"{template!r} names a column {field!r} that it does not have"
                raise UserError(message, where=where, value=field, allowed=list(row))
        return template.format_map(row)
    except (ValueError, KeyError, IndexError) as error:
        message = f"{template!r} is no template: {error}"
        raise UserError(message, where=f"models.{name}") from None


def _amount(row: Mapping[str, str], name: str, where: str) -> float | None:
    """A number or a size in words, such as 350M; None if the row does not say it."""
    from proxyscale.tables.sizes import amount

    if name not in row:
        return None
    found = amount(row[name])
    if not found > 0 and row[name] != "0":
        message = f"{name} is {row[name]!r}, which is no size"
        raise UserError(message, where=where, hint="350M, 7e9 or 7B")
    return found
