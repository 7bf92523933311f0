"""What the parts of a study must be to each other: names, options, cycles, sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxyscale import registry
from proxyscale.base.errors import UserError
from proxyscale.data.records import pinned
from proxyscale.study import common_checks, distribution_checks, engine_checks, extra
from proxyscale.study.config import Config
from proxyscale.study.config_data import Task
from proxyscale.study.option_checks import corpus_kind, named, options_mistakes, source_mistakes
from proxyscale.study.scales import GPT_KEYS, kind, resolve

TRAINED = ("vocabulary", "sample_bytes")  # keys of a tokenizer that is trained here


def mistakes(config: Config) -> Iterator[UserError]:
    """Every cross-reference that does not hold, in the order of the file."""
    yield from _sources(config)
    yield from _tokenizer(config)
    yield from task_mistakes(config.tasks, config.sources)
    yield from distribution_checks.mistakes(config)
    yield from _scales(config)
    yield from _reference(config)
    if all(entry.role != "grid" for entry in config.distributions.values()):
        yield UserError("none has the role grid: nothing is compared", where="distributions")
    seeds = sum(len(resolve(config, name).seeds) for name in config.scales)
    draws = (entry.draws or config.selection.draws for entry in config.distributions.values())
    yield from common_checks.too_many(seeds * sum(draws))
    yield from extra.mistakes(config)
    yield from engine_checks.mistakes(config)
    foundry = [n for n in config.scales if resolve(config, n).training["engine"] != "native"]
    if config.checkpoints and foundry:
        hint = "leave them out, or engine: native"
        yield UserError(f"{foundry[0]}: its engine keeps none", where="checkpoints", hint=hint)


def _sources(config: Config) -> Iterator[UserError]:
    for name, source in config.sources.items():
        where = f"sources.{name}"
        yield from source_mistakes(where, source, registry.corpus)
        if corpus_kind(source) == "hub" and "revision" in source.options:
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

    for keys, idle in (
        (("pad_vocabulary_to", "revision"), section.train),
        (TRAINED, not section.train),
    ):
        for key in set(keys) & section.model_fields_set if idle else ():
            told = "train" if section.train else "a tokenizer that is there already"
            yield UserError(f"has no meaning beside {told}", where=f"tokenizer.{key}")


def task_mistakes(tasks: Mapping[str, Task], sources: Iterable[str]) -> Iterator[UserError]:
    """Test sets whose kind, options or records do not hold."""
    for name, task in tasks.items():
        where = f"tasks.{name}"
        mistaken = list(options_mistakes(where, registry.task, task.kind, task.options))
        yield from mistaken or _tried(where, task)
        if (task.sources is None) == (task.records is None):
            yield UserError("give either sources or records", where=where)
        if task.records is not None:
            yield from _records(f"{where}.records", task)
        if isinstance(task.sources, list):
            for source in task.sources:
                yield from named(f"{where}.sources", source, sources, "source")


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
        if len(given) != 1:
            told = " and ".join(given) or "neither"
            yield UserError(f"give one of files and hub, not {told}", where=place)
        for name in ("revision", "config", "data_dir", "data_files", "split", "streaming"):
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


def _scales(config: Config) -> Iterator[UserError]:
    for name in config.scales:
        wrong = list(_architecture(config, name))
        yield from wrong or resolve(config, name).mistakes()


def _architecture(config: Config, scale: str) -> Iterator[UserError]:
    """The architecture that a scale names, its options or its config, and no others' keys."""
    own = config.scales[scale].model_dump()
    name = own["architecture"] or config.model.architecture
    sections = {"model": config.model, f"scales.{scale}": config.scales[scale]}
    if name != config.model.architecture:
        del sections["model"]  # what the study says there it says of another one
    said = {
        key: f"{place}.{key}"
        for place, section in sections.items()
        for key in section.model_fields_set
        if getattr(section, key) not in (None, {})
    }
    if name == registry.DEFAULT_ARCHITECTURE:
        others = {"options": "of plugins", "config": "of transformers' architectures"}
    elif name in registry.architecture.functions:
        others = dict.fromkeys(GPT_KEYS, "of gpt") | {"config": "of transformers' architectures"}
        options = resolve(config, scale).model["options"]
        where = said.get("options", said["architecture"])
        yield from options_mistakes(where, registry.architecture, name, options)
    else:
        others = dict.fromkeys(GPT_KEYS, "of gpt") | {"options": "of plugins"}
        yield from _elsewhere(said["architecture"], name)
    for key, whose in others.items():
        if key in said:
            hint = "its own are its `options`" if "options" not in others else None
            hint = hint or ("its own are its `config`" if "config" not in others else None)
            yield UserError(f"{key} is a key {whose}, not of {name}", where=said[key], hint=hint)


def _elsewhere(where: str, name: str) -> Iterator[UserError]:
    """An architecture that transformers does not have either."""
    try:
        kind(name)
    except UserError as error:
        allowed = [registry.DEFAULT_ARCHITECTURE, *registry.architecture.functions]
        message, more = error.message, [*allowed, *error.allowed]
        yield UserError(message, where=where, value=name, allowed=more, hint=error.hint)


def _reference(config: Config) -> Iterator[UserError]:
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
