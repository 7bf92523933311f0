"""What a study of image models trains: ensembles of runs, and what follows from its config.

An ensemble holds at most `pack` draws and `pack` seeds of one distribution, and trains as one job.
Its id names its place among them, so that another draw makes another ensemble and touches no full
one.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from proxyscale.base.cost import resnet_flops, resnet_parameters
from proxyscale.study.study import Study, canonical
from proxyscale.vision.config import REMOVALS, SCORED, SIMILAR, ImageConfig
from proxyscale.vision.corpora import DIGITS


class EnsembleRef(NamedTuple):
    """One job of training."""

    scale: str
    distribution: str
    ensemble: str


@dataclass(frozen=True)
class Width:
    """One scale with nothing left to default: what the trainer is given."""

    name: str
    model: dict[str, Any]
    training: dict[str, Any]
    size: int

    @property
    def parameters(self) -> int:
        return resnet_parameters(self.model)

    @property
    def forward_flops(self) -> float:
        """Of one image."""
        return resnet_flops(self.model, self.size)


@dataclass(frozen=True)
class ImageRuns(Study[ImageConfig]):
    """The ensembles of a checked config of image models, and their scales."""

    @functools.cached_property
    def scales(self) -> dict[str, Width]:
        """Every scale, from the cheapest to the dearest."""
        found = [self._resolve(name) for name in self.config.scales]
        return {scale.name: scale for scale in sorted(found, key=lambda s: s.forward_flops)}

    def _resolve(self, name: str) -> Width:
        own = self.config.scales[name].model_dump(exclude_none=True)
        model = self.config.model.model_dump(exclude={"family"})
        model |= {"channels": own.pop("channels"), "colors": self.config.pool.colors}
        training = self.config.training.model_dump() | own
        if training["augment"]:
            options = training["augment"].items()
            training["augment"] = {k: v for k, v in options if v is not None}
        return Width(name, model, json.loads(canonical(training)), self.config.pool.size)

    def seeds(self, distribution: str) -> list[int]:
        own = self.config.distributions[distribution].seeds or self.config.seeds
        return list(range(own)) if isinstance(own, int) else list(own)

    def draws(self, distribution: str) -> int:
        entry = self.config.distributions[distribution]
        if entry.method not in REMOVALS:
            return entry.draws
        assert self.config.counterfactuals is not None
        return len(self.config.counterfactuals.images) * len(entry.shares)

    def scales_of(self, distribution: str) -> list[str]:
        """The scales that train a distribution, cheapest first."""
        named = self.config.distributions[distribution].scales
        return [name for name in self.scales if named is None or name in named]

    def ensembles(self, distribution: str) -> list[str]:
        """Ids of a distribution's ensembles: block of draws, block of seeds."""
        size = self.config.pack
        draws, seeds = self.draws(distribution), len(self.seeds(distribution))
        blocks = [range(-(-count // size)) for count in (draws, seeds)]
        return [f"{draw}-{seed}" for draw in blocks[0] for seed in blocks[1]]

    def runs_of(self, distribution: str, ensemble: str) -> list[tuple[int, int]]:
        """The runs (draw, seed) of an ensemble."""
        draw, seed = (self.config.pack * int(part) for part in ensemble.split("-"))
        draws = range(self.draws(distribution))[draw : draw + self.config.pack]
        seeds = self.seeds(distribution)[seed : seed + self.config.pack]
        return [(d, s) for d in draws for s in seeds]

    @functools.cached_property
    def all_ensembles(self) -> list[EnsembleRef]:
        """Every ensemble of the study."""
        return [
            EnsembleRef(scale, name, ensemble)
            for name in self.config.distributions
            for scale in self.scales_of(name)
            for ensemble in self.ensembles(name)
        ]

    def kept(self, scale: str, distribution: str) -> list[int]:
        """Epochs after which an ensemble's models are kept: the last one, and those that scores are
        taken of, where they are."""
        training, own = self.scales[scale].training, self.config.attribution.trak
        if distribution != own.distribution:
            return [training["epochs"]]
        wanted = own.checkpoints or training["checkpoints"]
        return sorted({*wanted, training["epochs"]})

    def images(self, source: str) -> int | None:
        """Images of a source, at most, as far as the config tells."""
        entry = self.config.sources[source]
        known = [DIGITS] if "digits" in entry.options else []
        return min([*known, *([entry.images] if entry.images else [])], default=None)

    @property
    def pool_examples(self) -> int | None:
        """Images of the pool, as far as the config tells."""
        pool = self.config.pool
        source, images = self.config.sources[pool.source], self.images(pool.source)
        if pool.examples or images is None:
            return pool.examples
        return round(images * (1 - source.holdout - source.target))

    def tests(self, task: str) -> int | None:
        """Holdout images of a test set, as far as the config tells."""
        entry = self.config.tasks[task]
        images = self.images(entry.source)
        held = None if images is None else round(images * self.config.sources[entry.source].holdout)
        known = [count for count in (entry.examples, held) if count is not None]
        return min(known, default=None)

    @property
    def loss_rows(self) -> int:
        runs = sum(len(self.runs_of(*ref[1:])) for ref in self.all_ensembles)
        return runs * sum(self.tests(task) or 0 for task in self.config.tasks)

    def drawn_by(self, distribution: str) -> str:
        """What a distribution is drawn by: `scores` or `features` of the reference's models, the
        `task`'s classes, or the `pool` alone."""
        method = self.config.distributions[distribution].method
        named = {**dict.fromkeys(SCORED, "scores"), **dict.fromkeys(SIMILAR, "features")}
        return named.get(method, "task" if method in REMOVALS else "pool")

    @property
    def regressed(self) -> list[str]:
        """Scales that have regression datamodels."""
        own = self.config.attribution.datamodels
        return self.scales_of(own.distribution) if own else []

    @property
    def large(self) -> str:
        """The large width of Figure 14."""
        own = self.config.counterfactuals
        return (own.large if own else None) or self.config.reference

    def source_stamp(self, source: str) -> str:
        """The local files that a source is read from, told by a stamp."""
        return self.local_files.stamp(self.config.sources[source].options.get("files"))
