"""What a study's parts must be, whatever its models: names that are known, options that fit.

Mistakes are yielded, so that all are told at once.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.study.config_types import Open
from proxyscale.study.validation import said


def corpus_kind(source: Open, corpora: registry.Registry = registry.corpus) -> str | None:
    """The kind of a source: the one of its keys that names a registered corpus."""
    kinds = [key for key in source.options if key in corpora.functions]
    return kinds[0] if len(kinds) == 1 else None


def named(where: str, name: str | None, known: Any, kind: str) -> Iterator[UserError]:
    """A name that is said and not known."""
    if name is not None and name not in known:
        yield UserError(f"no {kind} is named {name!r}", where=where, value=name, allowed=known)


def options_mistakes(
    where: str, functions: registry.Registry, kind: str, options: Mapping[str, Any]
) -> Iterator[UserError]:
    """Options that the function does not take, lacks, or takes in another type."""
    try:
        function = functions[kind]
    except UserError as error:
        yield UserError(error.message, where=where, value=kind, allowed=error.allowed)
        return
    hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    fields: dict[str, Any] = {
        name: (
            hints.get(name, Any),
            ... if parameter.default is inspect.Parameter.empty else parameter.default,
        )
        for name, parameter in functions.options(kind).items()
    }
    model = create_model(kind, __config__=ConfigDict(extra="forbid"), **fields)
    try:
        model.model_validate(dict(options))
    except ValidationError as error:
        told = set()
        for details in error.errors():
            # Below the option's name pydantic counts types that it tried, too.
            key = str(details["loc"][0])
            if key in told:
                continue
            told.add(key)
            if details["type"] == "extra_forbidden":
                yield UserError(
                    f"{kind} has no option {key!r}",
                    where=f"{where}.{key}",
                    value=key,
                    allowed=sorted(fields),
                )
            elif details["type"] == "missing":
                yield UserError(f"{kind} needs the option {key!r}", where=where)
            else:
                yield UserError(f"is {options[key]!r}: {said(details)}", where=f"{where}.{key}")


def source_mistakes(
    where: str, source: Open, corpora: registry.Registry, what: str = "corpus"
) -> Iterator[UserError]:
    """A source of no kind, or with options that its kind does not take."""
    kind = corpus_kind(source, corpora)
    if kind is None:
        yield UserError(
            f"one key must say what kind of {what} this is",
            where=where,
            value=next(iter(source.options), None),
            allowed=sorted(corpora.functions),
        )
    else:
        yield from options_mistakes(where, corpora, kind, source.options)


def style_mistakes(style: Mapping[str, Any], figures: Sequence[str]) -> Iterator[UserError]:
    """Styles of figures that the study does not have."""
    for name in style:
        yield from named("figures.style", name, figures, "figure")
