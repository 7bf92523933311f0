"""What a key of the config means, and the schema that editors read."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.study import builtin_functions  # noqa: F401
from proxyscale.study.config import Config
from proxyscale.study.models_config import OwnModels
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.validation import fields_at, sections_at
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
    if not parts:
        return _study(family)
    root = root_of(parts[0], family)
    functions = OPEN[family].get(parts[0])
    if functions and len(parts) > 1 and parts[1] in functions.functions:
        return _function(functions, parts[1], parts[2:])
    if parts[:2] == ["figures", "style"]:
        return _style(parts[2:])
    location = _location(parts, root, family)
    field = fields_at(location[:-1], root)[location[-1]]
    lines = [f"{key}: {meaning(field)}", *_default(field)]
    entry = [*location, "any"] if _is_mapping(location, root) else location
    for inner in sections_at(entry, root):
        lines += ["", _section(inner, "its keys")]
    if functions and len(parts) == 1:
        names = sorted(functions.functions)
        lines += ["", *(f"  {name}: {functions.help(name)}" for name in names)]
        lines += ["", f"`proxyscale explain {parts[0]}.NAME` tells the options of one of these."]
    return "\n".join(lines)


def _study(family: str) -> str:
    """The keys at the top."""
    if family == "resnet":
        return _section(ImageConfig, "the study")
    own = OwnRuns.model_fields["runs"].description
    there = OwnModels.model_fields["models"].description
    others = f"or, in place of training, runs: {own}; models: {there}"
    return f"{_section(Config, 'the study')}\n\n{others}"


def root_of(key: str, family: str) -> type[BaseModel]:
    """The form of the studies that have a key at the top."""
    if family == "resnet":
        return ImageConfig
    roots: dict[str, type[BaseModel]] = {"runs": OwnRuns, "models": OwnModels}
    return roots.get(key, Config)


def meaning(field: Any) -> str:
    """What a key is for; a section that says so itself is not told twice."""
    kind = field.annotation
    return field.description or (inspect.getdoc(kind) or "").partition("\n")[0]


def keys(root: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every key that a study may have, dotted, and its field; NAME stands for any name."""
    for name, field in fields_at(list(at), root).items():
        place = (*at, name)
        yield ".".join(place), field
        yield from keys(root, (*place, "NAME") if _is_mapping(list(place), root) else place)


def _location(parts: list[str], root: type[BaseModel], family: str) -> list[str]:
    """The place of a key in the config, entry names filled in. UserError if there is none."""
    found: list[str] = []
    for number, part in enumerate(parts):
        fields = fields_at(found, root)
        if not fields and not _is_mapping(found, root):
            raise _unknown(parts, part, [], family)  # below a value
        if found and _is_mapping(found, root):
            found.append("any")
            fields = fields_at(found, root)
            kinds = OPEN[family].get(parts[0]) if len(found) == 2 else None
            if part not in fields:
                if kinds and number == len(parts) - 1:
                    raise _unknown(parts, part, [*sorted(kinds.functions), *fields], family)
                continue
        if part not in fields:
            raise _unknown(parts, part, sorted(fields), family)
        found.append(part)
    if found[-1] == "any":
        found.pop()
    return found


def _unknown(parts: list[str], part: str, allowed: list[str], family: str) -> UserError:
    """That there is no such key; if another place has one of that name, where."""
    message = f"no such key: {'.'.join(parts)}"
    roots: list[type[BaseModel]] = (
        [ImageConfig] if family == "resnet" else [Config, OwnRuns, OwnModels]
    )
    known = [sorted((key for key, _ in keys(root)), key=len) for root in roots]
    places = {key.rpartition(".")[2]: key for keys_ in known[::-1] for key in keys_[::-1]}
    for section, functions in OPEN[family].items():
        places |= {name: f"{section}.{name}" for name in functions.functions}
    near = difflib.get_close_matches(part, allowed, n=1, cutoff=0.6)
    far = difflib.get_close_matches(part, places, n=1, cutoff=0.8)
    if far and (part in places or not near):
        return UserError(message, allowed=allowed, hint=f"did you mean {places[far[0]]}?")
    return UserError(message, value=part, allowed=allowed)


def _is_mapping(location: list[str], root: type[BaseModel]) -> bool:
    """Whether the key at a location holds entries by name."""
    if not location or location[-1] == "any":
        return False
    field = fields_at(location[:-1], root).get(location[-1])
    inner = sections_at([*location, "any"], root)
    return field is not None and bool(inner) and "dict" in str(field.annotation)


def _default(field: Any) -> list[str]:
    if field.is_required():
        return ["required"]
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return []
    return [f"default: {shown(value)}"]


def _section(model: type[BaseModel], title: str) -> str:
    width = max(len(name) for name in model.model_fields)
    lines = [f"{title}: {(inspect.getdoc(model) or '').splitlines()[0]}"]
    lines += [f"  {n:<{width}}  {meaning(f)}" for n, f in model.model_fields.items()]
    return "\n".join(lines)


def _function(functions: registry.Registry, name: str, further: list[str]) -> str:
    """A registered function and its options, or one of these."""
    options = functions.options(name)
    for part in further:
        if part not in options or len(further) > 1:
            raise UserError(f"{name} has no such option", value=part, allowed=options)
    lines = [f"{name}: {inspect.getdoc(functions[name])}"]
    for option in options.values():
        default = option.default
        told = "required" if default is inspect.Parameter.empty else f"default: {shown(default)}"
        lines.append(f"  {option.name}: {_type(option.annotation)}  ({told})")
    return "\n".join(lines)


def _style(further: list[str]) -> str:
    """The options of all figures, or that there is such a figure."""
    from proxyscale.figures.style import Style

    for name in further[:1]:
        registry.figure[name]
    options = dataclasses.fields(Style)
    for name in further[1:]:
        if name not in [option.name for option in options]:
            known = [option.name for option in options]
            raise UserError("no such option of a figure", value=name, allowed=known)
    lines = [f"figures.style: options of a figure by its name. {inspect.getdoc(Style)}", ""]
    for option in options:
        value = option.default
        told = "" if value is dataclasses.MISSING else f"  (default: {shown(value)})"
        lines.append(f"  {option.name}: {_type(option.type)}{told}")
    return "\n".join([*lines, "", "figures: " + ", ".join(sorted(registry.figure.entries))])


def _type(annotation: Any) -> str:
    return str(annotation).replace(" | None", " or null")


def shown(value: Any) -> str:
    """A value as a config has it."""
    return json.dumps(value, default=str, ensure_ascii=False)


def keys_table() -> str:
    """All keys of all kinds of studies with their defaults, as `workflow/schemas/keys.md`."""
    kinds: dict[str, tuple[type[BaseModel], str]] = {
        "A study that trains language models": (Config, "language"),
        "Runs that somebody trained": (OwnRuns, "language"),
        "Models that are there": (OwnModels, "language"),
        "A study of image models": (ImageConfig, "resnet"),
    }
    lines = [
        "# Every key of a config",
        "",
        "Made by `proxyscale explain --all`; `proxyscale explain KEY` tells more. NAME is any.",
    ]
    told: set[str] = set()
    for title, (root, family) in kinds.items():
        lines += ["", f"## {title}", "", "| key | default | |", "|---|---|---|"]
        for key, field in keys(root):
            if root in (OwnRuns, OwnModels) and key in told:
                continue  # as above
            told.add(key)
            default = "".join(_default(field)).removeprefix("default: ")
            lines.append(f"| `{key}` | {default} | {meaning(field)} |".replace("||", "\\|\\|"))
        for section, functions in OPEN[family].items() if root in (Config, ImageConfig) else ():
            for name in sorted(functions.functions):
                options = ", ".join(f"`{option}`" for option in functions.options(name))
                lines.append(f"| `{section}.{name}` | | {functions.help(name)} {options} |")
    return "\n".join(lines) + "\n"
