"""What the parts of a study of image models must be to each other."""

from __future__ import annotations

from collections.abc import Iterator

from proxyscale.base.errors import UserError
from proxyscale.study.option_checks import named, source_mistakes
from proxyscale.vision.config import REMOVALS, ImageConfig
from proxyscale.vision.corpora import image_corpus


def mistakes(config: ImageConfig) -> Iterator[UserError]:
    """Every cross-reference that does not hold, in the order of the file."""
    yield from _sources(config)
    yield from named("pool.source", config.pool.source, config.sources, "source")
    for name, task in config.tasks.items():
        yield from named(f"tasks.{name}.source", task.source, config.sources, "source")
    yield from _distributions(config)
    yield from _groups(config)
    yield from _training(config)
    yield from _scales(config)
    yield from _attribution(config)
    yield from _counterfactuals(config)


def _sources(config: ImageConfig) -> Iterator[UserError]:
    for name, source in config.sources.items():
        where = f"sources.{name}"
        yield from source_mistakes(where, source, image_corpus, "image corpus")
        if source.holdout + source.target > 1:
            yield UserError("holdout and target are more than all images", where=where)


def _distributions(config: ImageConfig) -> Iterator[UserError]:
    for name, entry in config.distributions.items():
        where = f"distributions.{name}"
        for scale in entry.scales or ():
            yield from named(f"{where}.scales", scale, config.scales, "scale")
        if (entry.method in REMOVALS) != bool(entry.shares):
            told = "needs" if entry.method in REMOVALS else "has no"
            yield UserError(f"{entry.method} {told} shares", where=f"{where}.shares")
        if entry.method in REMOVALS and config.counterfactuals is None:
            hint = "say counterfactuals: with its task and test images"
            yield UserError(f"{entry.method} is for single test images", where=where, hint=hint)
        if entry.method != "stratified" and entry.draws > 1:
            yield UserError(f"all draws of {entry.method} are the same", where=f"{where}.draws")


def _groups(config: ImageConfig) -> Iterator[UserError]:
    for name, members in config.groups.items():
        where = f"groups.{name}"
        if name == "all":
            yield UserError("`all` is the group of every distribution", where=where)
        for member in members:
            yield from named(where, member, config.distributions, "distribution")
            entry = config.distributions.get(member)
            if entry is not None and entry.method not in REMOVALS:
                yield UserError(f"{member} is {entry.method}, which Fig 14 has not", where=where)


def _training(config: ImageConfig) -> Iterator[UserError]:
    sections = {"training": config.training.augment}
    sections |= {f"scales.{name}": scale.augment for name, scale in config.scales.items()}
    for where, augment in sections.items():
        if augment is not None and (augment.pad is None) == (augment.scale is None):
            yield UserError("give either pad or scale", where=f"{where}.augment")
    own = {"training": (config.training.epochs, config.training.checkpoints)}
    for name, scale in config.scales.items():
        if scale.epochs or scale.checkpoints is not None:
            kept = config.training.checkpoints if scale.checkpoints is None else scale.checkpoints
            own[f"scales.{name}"] = (scale.epochs or config.training.epochs, kept)
    for where, (epochs, kept) in own.items():
        if any(epoch > epochs for epoch in kept):
            message = f"there are {epochs} epochs, and none numbered {max(kept)}"
            yield UserError(message, where=f"{where}.checkpoints")
        missing = set(config.attribution.trak.checkpoints or ()) - {*kept, epochs}
        if missing:
            message, allowed = f"epoch {min(missing)} is not kept", sorted({*kept, epochs})
            where = "attribution.trak.checkpoints"
            yield UserError(message, where=where, value=min(missing), allowed=allowed)


def _scales(config: ImageConfig) -> Iterator[UserError]:
    yield from named("reference", config.reference, config.scales, "scale")
    if config.reference in config.scales:
        widest = max(config.scales, key=lambda name: config.scales[name].channels)
        if config.scales[widest].channels > config.scales[config.reference].channels:
            message = f"{widest} is wider than the reference {config.reference}"
            yield UserError(message, where="reference", hint="the reference is the widest scale")


def _attribution(config: ImageConfig) -> Iterator[UserError]:
    where, section = "attribution", config.attribution
    parts = {"truth": section.truth, "trak.distribution": section.trak.distribution}
    if section.datamodels:
        parts["datamodels.distribution"] = section.datamodels.distribution
    for key, name in parts.items():
        yield from named(f"{where}.{key}", name, config.distributions, "distribution")
    known = {key: config.distributions.get(name) for key, name in parts.items()}
    for key in ("truth", "datamodels.distribution"):
        entry = known.get(key)
        if entry is not None and (entry.method != "stratified" or entry.draws < 4):
            message = "needs a stratified distribution of 4 draws or more"
            yield UserError(message, where=f"{where}.{key}")
    truth, trak = known["truth"], known["trak.distribution"]
    if truth and truth.scales is not None and config.reference not in truth.scales:
        yield UserError(f"{section.truth} is not trained at the reference", where=f"{where}.truth")
    if truth and _count(truth.seeds, config) < 2:
        message = "the noise ceiling needs two seeds or more"
        yield UserError(message, where=f"distributions.{section.truth}.seeds")
    if trak and trak.scales is not None and set(trak.scales) != set(config.scales):
        yield UserError("must be trained at every scale", where=f"{where}.trak.distribution")
    if trak and _count(trak.seeds, config) < max(section.trak.models):
        message = f"{max(section.trak.models)} models are asked for and there are fewer seeds"
        yield UserError(message, where=f"{where}.trak.models")
    if section.datamodels and section.datamodels.distribution == section.truth:
        message = "a regression on the very subsets of the truth foretells nothing"
        yield UserError(message, where=f"{where}.datamodels.distribution")


def _count(seeds: int | list[int] | None, config: ImageConfig) -> int:
    own = config.seeds if seeds is None else seeds
    return own if isinstance(own, int) else len(own)


def _counterfactuals(config: ImageConfig) -> Iterator[UserError]:
    section = config.counterfactuals
    if section is None:
        return
    yield from named("counterfactuals.task", section.task, config.tasks, "task")
    yield from named("counterfactuals.proxy", section.proxy, config.scales, "scale")
    yield from named("counterfactuals.large", section.large, config.scales, "scale")
    removals = {n: d for n, d in config.distributions.items() if d.method in REMOVALS}
    if not removals:
        yield UserError("no distribution leaves anything out", where="counterfactuals")
    for name, entry in removals.items():
        wanted = {section.proxy, section.large or config.reference}
        missing = wanted - set(entry.scales or config.scales)
        if missing:
            message = f"Figure 14 needs it at {min(missing)} too"
            yield UserError(message, where=f"distributions.{name}.scales")
