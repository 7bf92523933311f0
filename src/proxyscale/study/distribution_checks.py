"""What distributions must be to tasks, scales and each other: names, sizes, scores, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.study import proxy_selection
from proxyscale.study.config import Config
from proxyscale.study.config_data import Distribution
from proxyscale.study.option_checks import named, options_mistakes
from proxyscale.study.scales import resolve


def mistakes(config: Config) -> Iterator[UserError]:
    """Every cross-reference of distributions, and of what stands for some, that does not hold."""
    yield from _distributions(config)
    yield from _cycles(config)
    yield from _compared(config)
    yield from _groups(config)
    yield from _proxy_selection(config)


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
        yield from _weights(f"{where}.weights", entry.options.get("weights"))
        yield from _size(config, where, entry)
        yield from _selected_for(config, where, entry)


def _weights(where: str, weights: Any) -> Iterator[UserError]:
    """Weights of a mixture that are none."""
    if not isinstance(weights, Mapping):
        return
    numbers = [value for value in weights.values() if isinstance(value, int | float)]
    if len(numbers) < len(weights):
        return  # told as an option of another type
    for name, value in weights.items():
        if isinstance(value, bool) or not 0 <= value < float("inf"):
            message = f"is {value!r}: a weight is a number from 0 on"
            yield UserError(message, where=f"{where}.{name}")
            return
    if not sum(numbers) > 0:
        yield UserError("a mixture needs a weight above 0", where=where)


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
    needed = registry.selection.needs(entry.method).keys
    for key in registry.KEYS:
        given = getattr(entry, key) is not None
        if key in needed and not given:
            yield UserError(f"{entry.method} needs the key {key!r}", where=where)
        if given and key not in needed and entry.method in registry.selection.functions:
            yield UserError(
                f"{entry.method} does not look at {key!r}",
                where=f"{where}.{key}",
                hint="a method of your own declares it: @selection(needs=('scores',))",
            )
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
    yield from _selection_methods(section.methods)
    for name in set(section.tasks) & set(config.tasks):
        yield from _target(config, f"{where}.tasks", name)
    for name in set(section.proxies) & set(config.scales):
        yield from _models(config, where, proxy_selection.SUBSETS, name)
    if round(min(section.fractions) * section.candidates) < 1:
        yield UserError(
            f"{min(section.fractions):g} of {section.candidates} candidates is none",
            where=f"{where}.fractions",
        )


def _selection_methods(methods: list[str]) -> Iterator[UserError]:
    """The methods of Figure 8: known, without options, and some of them for its axes."""
    where, needs = "proxy_selection.methods", registry.selection.needs
    for name in methods:
        yield from options_mistakes(where, registry.selection, name, {})
    if "random" in methods or len(set(methods)) != len(methods):
        told = "random subsets stand beside them anyway" if "random" in methods else "a name twice"
        yield UserError(told, where=where)
    if not any(needs(name).models for name in methods):
        yield UserError("none of them asks proxies", where=where, hint="dsdm does")
    if not any("task" in needs(name).keys for name in methods):
        yield UserError("none of them looks at a task", where=where, hint="dsdm does")
