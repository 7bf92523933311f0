"""Reading a config: YAML in, a typed study out, or every mistake with its key and what is allowed.

Each mistake is told with its key, its value, what is allowed and the nearest name.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from proxyscale.base import seals
from proxyscale.base.errors import UserError, UserErrors

MISTYPED = ("_type", "_parsing", "_from_float")  # how pydantic calls values of another type
WORDS = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "an integer is wanted"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number is wanted"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false is wanted"),
    "string_type": "a string of text is wanted",
    "list_type": "a list is wanted",
    "too_short": "at least {min_length} wanted",
    "too_long": "at most {max_length} wanted",
}


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file's mapping. UserError with the line if it is broken or says a key twice."""
    try:
        text = Path(path).read_text("utf-8")
        if seals.MARK.decode() in text and (wrong := seals.damage(Path(path))):
            hint = "if you have edited it, take out its last line"
            raise UserError(f"is not what was written: {wrong}", where=str(path), hint=hint)
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from None
    try:
        value = yaml.load(text, Loader=_UniqueKeys)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"not YAML: {error}", where=str(path)) from None
    if not isinstance(value, dict):
        raise UserError("a study is a mapping of keys to values", where=str(path))
    return value


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys in silence; this refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name, line = self.construct_object(key, deep=True), key.start_mark.line + 1
            if not isinstance(name, str):
                raise yaml.YAMLError(f"the key {name!r} in line {line} is no word; quote it")
            if name in seen:
                raise yaml.YAMLError(f"the key {name!r} stands twice, again in line {line}")
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


S = typing.TypeVar("S", bound=BaseModel)


def validated(root: type[S], raw: Mapping[str, Any]) -> S:
    """A study of the kind `root`. UserErrors with all mistakes of form at once."""
    try:
        return root.model_validate(dict(raw))
    except ValidationError as error:
        raise UserErrors(
            _mistake(details, root) for details in deepest(error.errors(), root)
        ) from None


def deepest(errors: Iterable[Any], root: type[BaseModel]) -> list[Any]:
    """One of pydantic's errors for each place: of a key that takes several types every type has
    its say, and the one that got furthest into the value counts, a wrong type the least."""
    found: dict[tuple[Any, ...], Any] = {}
    for details in errors:
        place = tuple(_keys(details["loc"], root))
        if place not in found or found[place]["type"].endswith(MISTYPED):
            found[place] = details
    inner = {place[:depth] for place in found for depth in range(len(place))}
    return [details for place, details in found.items() if place not in inner]


def _mistake(details: Any, root: type[BaseModel]) -> UserError:
    """One of pydantic's errors in the project's words."""
    location = _keys(details["loc"], root)
    where = ".".join(str(part) for part in location)
    value = details["input"]
    if details["type"] == "extra_forbidden":
        name = str(location[-1])
        allowed = sorted(fields_at(location[:-1], root))
        return UserError(f"no such key: {name!r}", where=where, value=name, allowed=allowed)
    if details["type"] == "missing":
        return UserError("this key is required", where=where, hint=help_of(location, root))
    if details["type"] == "literal_error":
        kinds = [kind for kind in _types_at(location, root) if typing.get_origin(kind) is Literal]
        allowed = [value for kind in kinds for value in typing.get_args(kind)]
        return UserError(f"is {value!r}", where=where, value=value, allowed=allowed)
    if details["type"] == "value_error" and isinstance(value, dict):
        return UserError(str(details["ctx"]["error"]), where=where)
    return UserError(f"is {value!r}: {said(details)}", where=where, hint=help_of(location, root))


def said(details: Any) -> str:
    """The message of one of pydantic's errors, to stand after a colon."""
    if details["type"] == "string_pattern_mismatch":
        return (
            "a name has up to 100 letters, digits, '_', '.' and '-', of which the first is no mark"
        )
    if details["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return "a mapping of keys to values is wanted"
    if details["type"] in WORDS:
        return WORDS[details["type"]].format(**details.get("ctx", {}))
    message = str(details["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _keys(location: Iterable[Any], root: type[BaseModel]) -> list[Any]:
    """A location without the types that pydantic tried at a key that takes several."""
    keys: list[Any] = []
    for part in location:
        if part == "[key]" or (len(_types_at(keys, root)) > 1 and isinstance(part, str)):
            continue
        keys.append(part)
    return keys


def _alternatives(annotation: Any) -> list[Any]:
    """The types of which a value may be, null aside."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return [] if annotation is type(None) else [annotation]
    return [kind for each in typing.get_args(annotation) for kind in _alternatives(each)]


def _types_at(location: list[Any], root: type[BaseModel]) -> list[Any]:
    """The types of the key at a location such as ["scales", "xs", "width"]; none if unknown."""
    found: list[Any] = [root]
    for part in location:
        below = []
        for kind in found:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                field = kind.model_fields.get(str(part))
                below += _alternatives(field.annotation) if field else []
            elif arguments := typing.get_args(kind):
                below += _alternatives(arguments[-1])
        found = below
    return found


def sections_at(location: list[Any], root: type[BaseModel]) -> list[type[BaseModel]]:
    """The sections that may stand at a location, of which each has keys of its own."""
    kinds = _types_at(location, root)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def fields_at(location: list[Any], root: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys that may stand below a location, by name."""
    sections = sections_at(location, root)
    return {name: field for kind in sections for name, field in kind.model_fields.items()}


def help_of(location: list[Any], root: type[BaseModel]) -> str | None:
    """What a key is for, in a few words."""
    if not location:
        return None
    field = fields_at(location[:-1], root).get(str(location[-1]))
    return field.description if field else None
