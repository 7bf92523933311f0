"""What the parts of a study must be to each other: names, options, cycles, sizes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model

from proxyscale import registry
from proxyscale.config import Config, Source
from proxyscale.errors import UserError

SCORED = ("dsdm", "bot-dsdm")


def mistakes(config: Config) -> Iterator[UserError]:
    """Every cross-reference that does not hold, in the order of the file."""
    yield from _sources(config)
    yield from _tokenizer(config)
    yield from _tasks(config)
    yield from _distributions(config)
    yield from _cycles(config)
    yield from _groups(config)
    yield from _scales(config)
    yield from _reference(config)


def corpus_kind(source: Source) -> str | None:
    """The kind of a source: the one of its keys that names a registered corpus."""
    kinds = [key for key in source.options if key in registry.corpus.functions]
    return kinds[0] if len(kinds) == 1 else None


def _named(where: str, name: str | None, known: Any, kind: str) -> Iterator[UserError]:
    if name is not None and name not in known:
        yield UserError(f"no {kind} is named {name!r}", where=where, value=name, allowed=known)


def _options(
    where: str, functions: registry.Registry, kind: str, options: Mapping[str, Any]
) -> Iterator[UserError]:
    """Options that the function does not take, lacks, or takes in another type."""
    try:
        function = functions[kind]
    except UserError as error:
        yield UserError(error.message, where=where, value=kind, allowed=error.allowed)
        return
    hints = typing.get_type_hints(function)
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
        for details in error.errors():
            key = ".".join(str(part) for part in details["loc"])
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
                message = details["msg"][:1].lower() + details["msg"][1:]
                yield UserError(f"is {details['input']!r}: {message}", where=f"{where}.{key}")


def _sources(config: Config) -> Iterator[UserError]:
    for name, source in config.sources.items():
        where = f"sources.{name}"
        kind = corpus_kind(source)
        if kind is None:
            kinds = sorted(registry.corpus.functions)
            given = next(iter(source.options), None)
            yield UserError(
                "one key must say what kind of corpus this is",
                where=where,
                value=given,
                allowed=kinds,
            )
        else:
            yield from _options(where, registry.corpus, kind, source.options)
        if source.holdout + source.target >= 1:
            yield UserError("holdout and target leave nothing for the pool", where=where)


def _tokenizer(config: Config) -> Iterator[UserError]:
    section = config.tokenizer
    given = [key for key in ("train", "file", "hub") if getattr(section, key) is not None]
    if len(given) != 1:
        told = " and ".join(given) or "none"
        yield UserError(f"give one of train, file and hub, not {told}", where="tokenizer")
    if section.hub and not section.revision:
        yield UserError(
            "a tokenizer from the hub needs its revision",
            where="tokenizer.revision",
            hint="the commit's hash: what `main` means changes",
        )


def _tasks(config: Config) -> Iterator[UserError]:
    for name, task in config.tasks.items():
        where = f"tasks.{name}"
        yield from _options(where, registry.task, task.kind, task.options)
        if (task.sources is None) == (task.records is None):
            yield UserError("give either sources or records", where=where)
        if isinstance(task.sources, list):
            for source in task.sources:
                yield from _named(f"{where}.sources", source, config.sources, "source")


def _distributions(config: Config) -> Iterator[UserError]:
    for name, entry in config.distributions.items():
        where = f"distributions.{name}"
        yield from _options(where, registry.selection, entry.method, entry.options)
        yield from _named(f"{where}.task", entry.task, config.tasks, "task")
        yield from _named(
            f"{where}.scored_on", entry.scored_on, config.distributions, "distribution"
        )
        yield from _named(f"{where}.scale", entry.scale, config.scales, "scale")
        for source in _sources_named(entry.options):
            yield from _named(where, source, config.sources, "source")
        size = entry.size or config.selection.size
        candidates = entry.candidates or config.selection.candidates
        if candidates and size > candidates and not entry.repeat:
            yield UserError(
                f"{size} examples cannot be chosen from {candidates} candidates", where=where
            )
        if entry.method in SCORED:
            for key in ("task", "scored_on", "scale"):
                if getattr(entry, key) is None:
                    yield UserError(f"{entry.method} needs the key {key!r}", where=where)


def _sources_named(options: Mapping[str, Any]) -> list[str]:
    """Sources that options name: `sources: docs`, `sources: [docs, ml]`, `weights: {docs: 1}`."""
    named = options.get("sources", [])
    weights = options.get("weights", {})
    listed = [named] if isinstance(named, str) else list(named)
    return [*listed, *(weights if isinstance(weights, Mapping) else ())]


def _cycles(config: Config) -> Iterator[UserError]:
    for start in config.distributions:
        path = [start]
        while True:
            following = config.distributions[path[-1]].scored_on
            if following is None or following not in config.distributions:
                break
            if following in path:
                if following == start and start == min(path):
                    told = " → ".join([*path, following])
                    yield UserError(
                        f"scored on itself: {told}", where=f"distributions.{start}.scored_on"
                    )
                break
            path.append(following)


def _groups(config: Config) -> Iterator[UserError]:
    for name, members in config.groups.items():
        where = f"groups.{name}"
        if name == "all":
            yield UserError(
                "`all` is the group of every distribution; take another name", where=where
            )
        for member in members:
            yield from _named(where, member, config.distributions, "distribution")
            entry = config.distributions.get(member)
            if entry is not None and entry.role != "grid":
                yield UserError(f"{member} has the role {entry.role}, not grid", where=where)
        if len(set(members)) != len(members):
            yield UserError("a distribution stands twice", where=where)
        if len(members) < 3:
            yield UserError("a correlation needs three distributions or more", where=where)


def _scales(config: Config) -> Iterator[UserError]:
    from proxyscale.scales import resolve

    for name in config.scales:
        yield from resolve(config, name).mistakes()


def _reference(config: Config) -> Iterator[UserError]:
    from proxyscale.scales import resolve

    yield from _named("reference", config.reference, config.scales, "scale")
    yield from _named("figures.proxy", config.figures.proxy, config.scales, "scale")
    if config.figures.proxy == config.reference and config.reference in config.scales:
        yield UserError("the proxy is the reference", where="figures.proxy")
    if config.reference not in config.scales:
        return
    resolved = {name: resolve(config, name) for name in config.scales}
    if any(True for scale in resolved.values() for _ in scale.mistakes()):
        return
    costs = {name: scale.flops for name, scale in resolved.items()}
    dearest = max(costs, key=costs.__getitem__)
    if costs[dearest] > costs[config.reference]:
        yield UserError(
            f"{dearest} costs more compute than the reference {config.reference}",
            where="reference",
            hint="the reference is the most expensive scale",
        )
