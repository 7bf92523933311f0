"""What a key of the config means, and the schema that editors read."""

from __future__ import annotations

import inspect
import json
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.study import builtin_functions  # noqa: F401
from proxyscale.study.config import Config
from proxyscale.study.models_config import OwnModels
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.validation import model_at
from proxyscale.vision.config import ImageConfig
from proxyscale.vision.corpora import image_corpus

# Sections whose entries' further keys are options of registered functions.
OPEN = {
    "language": {
        "sources": registry.corpus,
        "tasks": registry.task,
        "distributions": registry.selection,
    },
    "resnet": {"sources": image_corpus},
}


def schema(family: str = "language") -> str:
    """JSON schema of a family's studies, as a file of `workflow/schemas` holds it."""
    kind: Any = ImageConfig if family == "resnet" else Config | OwnRuns | OwnModels
    either: TypeAdapter[Any] = TypeAdapter(kind)
    return json.dumps(either.json_schema(), indent=2, sort_keys=True) + "\n"


def explain(key: str = "", family: str = "language") -> str:
    """What `key` (`training.tokens`, `tasks`, `scales.xs.width`, …) is for in a family's studies.

    The name of an entry may be left out or be anything: `sources.holdout` and
    `sources.docs.holdout` are the same key. UserError with the nearest key if there is none.
    """
    parts = [part for part in key.split(".") if part]
    root: type[BaseModel] = ImageConfig if family == "resnet" else Config
    if not parts and family == "resnet":
        return _section(root, "the study")
    if not parts:
        own = OwnRuns.model_fields["runs"].description
        there = OwnModels.model_fields["models"].description
        others = f"or, in place of training, runs: {own}; models: {there}"
        return f"{_section(root, 'the study')}\n\n{others}"
    if family == "language" and parts[0] in ("runs", "models"):
        root = OwnRuns if parts[0] == "runs" else OwnModels
    functions = OPEN[family].get(parts[0])
    if len(parts) == 2 and functions and parts[1] in functions.functions:
        return _function(functions, parts[1])
    location = _location(parts, root)
    field = model_at(location[:-1], root).model_fields[location[-1]]
    lines = [f"{key}: {field.description}", *_default(field)]
    entry = [*location, "any"] if _is_mapping(location, root) else location
    inner = model_at(entry, root)
    if inner is not root:
        lines += ["", _section(inner, "its keys")]
    if functions and len(parts) == 1:
        names = sorted(functions.functions)
        lines += ["", *(f"  {name}: {functions.help(name)}" for name in names)]
        lines += ["", f"`proxyscale explain {parts[0]}.NAME` tells the options of one of these."]
    return "\n".join(lines)


def _location(parts: list[str], root: type[BaseModel]) -> list[str]:
    """The place of a key in the config, entry names filled in. UserError if there is none."""
    found: list[str] = []
    for part in parts:
        fields = model_at(found, root).model_fields
        if found and _is_mapping(found, root):
            found.append("any")
            fields = model_at(found, root).model_fields
            if part not in fields:
                continue
        if part not in fields:
            raise UserError(f"no such key: {'.'.join(parts)}", value=part, allowed=sorted(fields))
        found.append(part)
    if found[-1] == "any":
        found.pop()
    return found


def _is_mapping(location: list[str], root: type[BaseModel]) -> bool:
    """Whether the key at a location holds entries by name."""
    if not location or location[-1] == "any":
        return False
    field = model_at(location[:-1], root).model_fields.get(location[-1])
    inner = model_at([*location, "any"], root)
    return field is not None and inner is not root and "dict" in str(field.annotation)


def _default(field: Any) -> list[str]:
    if field.is_required():
        return ["required"]
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return []
    return [f"default: {json.dumps(value)}"]


def _section(model: type[BaseModel], title: str) -> str:
    width = max(len(name) for name in model.model_fields)
    lines = [f"{title}: {(inspect.getdoc(model) or '').splitlines()[0]}"]
    lines += [f"  {n:<{width}}  {f.description}" for n, f in model.model_fields.items()]
    return "\n".join(lines)


def _function(functions: registry.Registry, name: str) -> str:
    function = functions[name]
    lines = [f"{name}: {inspect.getdoc(function)}"]
    for option in functions.options(name).values():
        default = option.default
        told = "required" if default is inspect.Parameter.empty else f"default: {default!r}"
        lines.append(f"  {option.name}: {option.annotation}  ({told})")
    return "\n".join(lines)
