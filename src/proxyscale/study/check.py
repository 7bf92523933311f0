"""What the parts of a study must be to each other: names, options, cycles, sizes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.data.records import pinned
from proxyscale.study import proxy_selection
from proxyscale.study.config import Config, Distribution, Open, Task, said

# Methods that compare texts with a task's target examples, and those that read scores for them.
TARGETED = ("dsir", "classifier")
SCORED = ("dsdm", "bot-dsdm")


def mistakes(config: Config) -> Iterator[UserError]:
    """Every cross-reference that does not hold, in the order of the file."""
    yield from _sources(config)
    yield from _tokenizer(config)
    yield from _tasks(config)
    yield from _distributions(config)
    yield from _cycles(config)
    yield from _compared(config)
    yield from _groups(config)
    yield from _proxy_selection(config)
    yield from _scales(config)
    yield from _reference(config)


def corpus_kind(source: Open, corpora: registry.Registry = registry.corpus) -> str | None:
    """The kind of a source: the one of its keys that names a registered corpus."""
    kinds = [key for key in source.options if key in corpora.functions]
    return kinds[0] if len(kinds) == 1 else None


def named(where: str, name: str | None, known: Any, kind: str) -> Iterator[UserError]:
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
            yield from options_mistakes(where, registry.corpus, kind, source.options)
        if kind == "hub" and "revision" in source.options:
            revision = source.options["revision"]
            yield from _pinned(str(source.options["hub"]), revision, where, "datasets/")
        if source.holdout + source.target >= 1:
            yield UserError("holdout and target leave nothing for the pool", where=where)


def _tokenizer(config: Config) -> Iterator[UserError]:
    section = config.tokenizer
    given = [key for key in ("train", "file", "hub") if getattr(section, key) is not None]
    if len(given) != 1:
        told = " and ".join(given) or "none"
        yield UserError(f"give one of train, file and hub, not {told}", where="tokenizer")
    if section.hub is not None:
        yield from _pinned(section.hub, section.revision, "tokenizer")
        if section.pad_vocabulary_to is None:
            yield UserError(
                "a tokenizer from the hub needs the size of the model's vocabulary",
                where="tokenizer.pad_vocabulary_to",
                hint="at least the tokenizer's: it is known before anything is downloaded",
            )


def _tasks(config: Config) -> Iterator[UserError]:
    for name, task in config.tasks.items():
        where = f"tasks.{name}"
        mistaken = list(options_mistakes(where, registry.task, task.kind, task.options))
        yield from mistaken or _tried(where, task)
        if (task.sources is None) == (task.records is None):
            yield UserError("give either sources or records", where=where)
        if task.records is not None:
            yield from _records(f"{where}.records", task)
        if isinstance(task.sources, list):
            for source in task.sources:
                yield from named(f"{where}.sources", source, config.sources, "source")


def _tried(where: str, task: Task) -> Iterator[UserError]:
    """What a task's kind says to its options when it is given no record."""
    try:
        list(registry.task[task.kind](iter(()), **task.options))
    except UserError as error:
        yield UserError(error.message, where=where, allowed=error.allowed, hint=error.hint)


def _records(where: str, task: Task) -> Iterator[UserError]:
    """Each split has one place that its records come from, and a hub's dataset is pinned."""
    assert task.records is not None
    parts = task.records.parts
    own = task.records.model_dump(exclude_none=True, exclude={"holdout", "target"})
    if "" not in parts and own:
        told = " and ".join(own)
        yield UserError(f"{told}: say it below holdout and target, or leave those out", where=where)
    if list(parts) == ["target"]:
        yield UserError("a target alone: a task is measured on its holdout", where=where)
    for key, part in parts.items():
        place = f"{where}.{key}" if key else where
        given = [name for name in ("files", "hub") if getattr(part, name) is not None]
        if len(given) != 1 or (key and (part.holdout or part.target)):
            told = " and ".join(given) or "neither"
            yield UserError(f"give one of files and hub, not {told}", where=place)
        for name in ("revision", "config", "data_dir", "split", "streaming"):
            if part.hub is None and getattr(part, name) is not None:
                yield UserError("only a dataset of the hub has this key", where=f"{place}.{name}")
        if part.hub is not None:
            yield from _pinned(part.hub, part.revision, place, "datasets/")
            for name in ("format", "columns", "at", "encoding"):
                if getattr(part, name) is not None:
                    yield UserError("only files have this key", where=f"{place}.{name}")


def _pinned(repository: str, revision: Any, where: str, kind: str = "") -> Iterator[UserError]:
    """A name on the hub can move; a commit cannot."""
    try:
        pinned(revision, repository, kind)
    except UserError as error:
        place = f"{where}.revision"
        yield UserError(error.message, where=place, value=revision, hint=error.hint)


def _distributions(config: Config) -> Iterator[UserError]:
    section = config.proxy_selection
    told = set(proxy_selection.entries(section)) if section else set()  # checked by themselves
    for name, entry in config.distributions.items():
        name = name.rpartition("-")[0] if entry.count else name
        if name in told:  # another one of a family
            continue
        told.add(name)
        where = f"distributions.{name}"
        yield from options_mistakes(where, registry.selection, entry.method, entry.options)
        for source in sources_named(entry.options):
            yield from named(where, source, config.sources, "source")
        yield from _size(config, where, entry)
        yield from _selected_for(config, where, entry)


def _size(config: Config, where: str, entry: Distribution) -> Iterator[UserError]:
    """A size that cannot be reached, as far as that can be known before the text is read."""
    size = entry.size or config.selection.size
    candidates = entry.candidates or config.selection.candidates
    if entry.repeat:
        return
    if candidates and size > candidates:
        yield UserError(
            f"{size} examples cannot be chosen from {candidates} candidates", where=where
        )
    sources = entry.candidate_sources or list(config.sources)
    sources = sources_named(entry.options) if entry.method == "source" else sources
    limits = [config.sources[n].max_bytes if n in config.sources else None for n in sources]
    # A token is a byte at least, and a document of a byte at least is closed by one more.
    most = sum(2 * limit for limit in limits if limit) // config.pool.length
    if all(limits) and size > most:
        yield UserError(
            f"{size} examples cannot be chosen from {' and '.join(sources)}: by max_bytes they "
            f"have {most} at most",
            where=where,
        )


def _selected_for(config: Config, where: str, entry: Distribution) -> Iterator[UserError]:
    """The task, the scoring models and what the method needs of them."""
    for source in entry.candidate_sources or ():
        yield from named(f"{where}.candidate_sources", source, config.sources, "source")
    yield from named(f"{where}.task", entry.task, config.tasks, "task")
    yield from named(f"{where}.scored_on", entry.scored_on, config.distributions, "distribution")
    yield from named(f"{where}.scale", entry.scale, config.scales, "scale")
    needed = ["task"] if entry.method in TARGETED else []
    if entry.method in SCORED or entry.scored_on or entry.scale:
        needed = ["task", "scored_on", "scale"]
    for key in needed:
        if getattr(entry, key) is None:
            yield UserError(f"{entry.method} needs the key {key!r}", where=where)
    if entry.task in config.tasks:
        yield from _target(config, f"{where}.task", entry.task)
    if entry.scored_on in config.distributions and entry.scale in config.scales:
        yield from _models(config, where, entry.scored_on, entry.scale)


def _target(config: Config, where: str, name: str) -> Iterator[UserError]:
    """A task that selection looks at must have target examples."""
    task = config.tasks[name]
    names = list(config.sources) if task.sources == "all" else task.sources or []
    shares = [config.sources[source].target for source in names if source in config.sources]
    if task.records is not None:
        apart = task.records.holdout is not None
        shares = [float(task.records.target is not None) if apart else task.target]
    if not task.target_examples or not any(shares):
        yield UserError(
            f"the task {name} has no target examples",
            where=where,
            hint=f"set tasks.{name}.target_examples and the `target` of what it is made of",
        )


def _models(config: Config, where: str, distribution: str, scale: str) -> Iterator[UserError]:
    """There must be as many runs as there are to be models."""
    from proxyscale.study.scales import resolve

    draws = config.distributions[distribution].draws or config.selection.draws
    seeds = len(resolve(config, scale).seeds)
    if config.attribution.models > draws * seeds:
        yield UserError(
            f"{config.attribution.models} models are to score, and {distribution} has "
            f"{draws * seeds} at {scale}: {draws} draws, {seeds} seeds",
            where=where,
            hint=f"set distributions.{distribution}.draws, or ask for fewer attribution.models",
        )


def sources_named(options: Mapping[str, Any]) -> list[str]:
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


def _compared(config: Config) -> Iterator[UserError]:
    compare = config.attribution.compare
    if compare is None:
        return
    where = "attribution.compare"
    grid = [name for name, entry in config.distributions.items() if entry.role == "grid"]
    yield from named(f"{where}.scored_on", compare.scored_on, grid, "distribution of the grid")
    for task in compare.tasks:
        yield from named(f"{where}.tasks", task, config.tasks, "task")
        if task in config.tasks:
            yield from _target(config, f"{where}.tasks", task)


def _groups(config: Config) -> Iterator[UserError]:
    for name, members in config.groups.items():
        where = f"groups.{name}"
        if name == "all":
            yield UserError(
                "`all` is the group of every distribution; take another name", where=where
            )
        found = [one for member in members for one in config.family(member)]
        for member in members:
            if not config.family(member):
                yield from named(where, member, config.distributions, "distribution")
        for member in found:
            role = config.distributions[member].role
            if role != "grid":
                yield UserError(f"{member} has the role {role}, not grid", where=where)
        if len(set(found)) != len(found):
            yield UserError("a distribution stands twice", where=where)
        if len(found) < 3:
            yield UserError("a correlation needs three distributions or more", where=where)


def _proxy_selection(config: Config) -> Iterator[UserError]:
    section = config.proxy_selection
    if section is None:
        return
    where = "proxy_selection"
    yield from named(f"{where}.reference", section.reference, config.scales, "scale")
    for key, known, kind in (("tasks", config.tasks, "task"), ("proxies", config.scales, "scale")):
        listed = getattr(section, key)
        for name in listed:
            yield from named(f"{where}.{key}", name, known, kind)
        if len(set(listed)) != len(listed):
            yield UserError("a name stands twice", where=f"{where}.{key}")
    for name in set(section.tasks) & set(config.tasks):
        yield from _target(config, f"{where}.tasks", name)
    for name in set(section.proxies) & set(config.scales):
        yield from _models(config, where, proxy_selection.SUBSETS, name)
    if round(min(section.fractions) * section.candidates) < 1:
        yield UserError(
            f"{min(section.fractions):g} of {section.candidates} candidates is none",
            where=f"{where}.fractions",
        )


def _scales(config: Config) -> Iterator[UserError]:
    from proxyscale.study.scales import resolve

    for name in config.scales:
        yield from resolve(config, name).mistakes()


def _reference(config: Config) -> Iterator[UserError]:
    from proxyscale.study.scales import resolve

    yield from named("reference", config.reference, config.scales, "scale")
    yield from named("figures.proxy", config.figures.proxy, config.scales, "scale")
    if config.figures.proxy == config.reference and config.reference in config.scales:
        yield UserError("the proxy is the reference", where="figures.proxy")
    if config.reference not in config.scales:
        return
    resolved = {name: resolve(config, name) for name in config.scales}
    if any(True for scale in resolved.values() for _ in scale.mistakes()):
        return
    if not config.scales[config.reference].grid:
        yield UserError("the reference is left out of the grid", where=f"scales.{config.reference}")
    costs = {name: scale.flops for name, scale in resolved.items() if config.scales[name].grid}
    if len(costs) < 2:
        yield UserError("a comparison needs two scales or more", where="scales")
        return
    dearest = max(costs, key=costs.__getitem__)
    if costs[dearest] > resolved[config.reference].flops:
        yield UserError(
            f"{dearest} costs more compute than the reference {config.reference}",
            where="reference",
            hint="the reference is the most expensive scale",
        )
