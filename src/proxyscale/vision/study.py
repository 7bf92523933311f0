"""A study of image models as the rules see it: packs of runs, and every job's slice of the config.

A pack holds at most `pack` draws and `pack` seeds of one distribution, and trains as one job. Its
id names its place among them, so that another draw makes another pack and touches no full one.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from proxyscale import registry
from proxyscale.base.cost import resnet_flops, resnet_parameters
from proxyscale.base.digest import code_digest
from proxyscale.base.errors import UserErrors
from proxyscale.base.paths import Paths
from proxyscale.study.check import corpus_kind
from proxyscale.study.config import validated
from proxyscale.study.study import canonical, claim, local_files
from proxyscale.vision import check
from proxyscale.vision.config import REMOVALS, SCORED, SIMILAR, ImageConfig, ImageTraining
from proxyscale.vision.corpora import image_corpus

# The modules whose meaning each rule's result depends on.
CODE = {
    "image_corpus": ("vision.pool",),
    "image_pool": ("vision.pool",),
    "image_task": ("vision.pool",),
    "subsets": ("vision.select", "vision.score_files"),
    "likeness": ("vision.select", "vision.score_files", "vision.features"),
    "train_pack": ("vision.model_packs",),
    "evaluate_pack": ("vision.model_packs",),
    "score_pack": ("vision.scores",),
    "datamodels": ("vision.regression",),
    "collect_packs": ("vision.collect",),
    "image_statistics": ("vision.statistics",),
    "image_figure": ("vision.figures",),
    "image_table": ("vision.tables",),
}
FIGURES = ("lds_fig6", "influence_fig7", "width_fig17", "influence_fig22", "influence_fig23")
MANY_MODELS = ("lds_fig27", "scores_fig28")  # these need several models of every scale
COUNTERFACTUAL = "counterfactual_fig14"
TABLES = ("tab15", "tab16")
MODEL = ("channels", "blocks", "stem", "parametrization")


class PackRef(NamedTuple):
    """One job of training."""

    scale: str
    distribution: str
    pack: str


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
class ImageStudy:
    """A checked config of image models and what follows from it."""

    config: ImageConfig

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> ImageStudy:
        """Parse and cross-check. UserErrors with every mistake found."""
        plugins = raw.get("plugins")
        if isinstance(plugins, list):
            registry.load_plugins(str(plugin) for plugin in plugins)
        config = validated(ImageConfig, raw)
        found = list(check.mistakes(config))
        if found:
            raise UserErrors(found)
        return cls(config)

    @property
    def paths(self) -> Paths:
        return Paths(self.config.results)

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

    @property
    def figures(self) -> list[str]:
        """The figures that this study has."""
        names = list(FIGURES)
        if max(self.config.attribution.trak.models) > 1:
            names += MANY_MODELS
        return names + ([COUNTERFACTUAL] if self.config.counterfactuals else [])

    @property
    def tables(self) -> list[str]:
        """The tables that this study has."""
        return list(TABLES)

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

    def packs(self, distribution: str) -> list[str]:
        """Ids of a distribution's packs: block of draws, block of seeds."""
        size = self.config.pack
        draws, seeds = self.draws(distribution), len(self.seeds(distribution))
        blocks = [range(-(-count // size)) for count in (draws, seeds)]
        return [f"{draw}-{seed}" for draw in blocks[0] for seed in blocks[1]]

    def runs_of(self, distribution: str, pack: str) -> list[tuple[int, int]]:
        """The runs (draw, seed) of a pack."""
        draw, seed = (self.config.pack * int(part) for part in pack.split("-"))
        draws = range(self.draws(distribution))[draw : draw + self.config.pack]
        seeds = self.seeds(distribution)[seed : seed + self.config.pack]
        return [(d, s) for d in draws for s in seeds]

    @functools.cached_property
    def all_packs(self) -> list[PackRef]:
        """Every pack of the study."""
        return [
            PackRef(scale, name, pack)
            for name in self.config.distributions
            for scale in self.scales_of(name)
            for pack in self.packs(name)
        ]

    def drawn_by(self, distribution: str) -> str:
        """What a distribution is drawn by: `scores` or `features` of the reference's models, the
        `task`'s classes, or the `pool` alone."""
        method = self.config.distributions[distribution].method
        named = {**dict.fromkeys(SCORED, "scores"), **dict.fromkeys(SIMILAR, "features")}
        return named.get(method, "task" if method in REMOVALS else "pool")

    def source_files(self, source: str) -> list[str]:
        """Local files that a source is read from."""
        return local_files(self.config.sources[source].options.get("files"))

    def claim_results(self, write: bool = False) -> None:
        """Refuse a results folder that belongs to another study; with `write`, claim it."""
        claim(self.config.results, self.config.study, write)

    def plugins(self, rule: str, name: str) -> list[str]:
        """The plugin files that a job runs: the one that defines a source's corpus, if any."""
        kind = corpus_kind(self.config.sources[name], image_corpus)
        file = image_corpus.file(kind or "") if rule == "image_corpus" else None
        return [path for path in self.config.plugins if Path(path).resolve() == file]

    def code(self, rule: str, name: str | None = None) -> str:
        """Digest of the code of a job; `name` is its source, where a plugin may do its work."""
        if self.config.code == "off":
            return "off"
        plugins = self.plugins(rule, name) if name else []
        return code_digest(*CODE[rule], plugins=tuple(plugins))

    def corpus(self, source: str) -> str:
        """The slice of `image_corpus`."""
        entry, pool = self.config.sources[source], self.config.pool
        own = {name: getattr(entry, name) for name in type(entry).model_fields}
        kind = corpus_kind(entry, image_corpus)
        common = {"size": pool.size, "colors": pool.colors, "seed": self.config.seed}
        return canonical({"kind": kind, "options": entry.options, **own, **common})

    def pool(self) -> str:
        """The slice of `image_pool`."""
        own = self.config.pool.model_dump(include={"examples", "balanced"})
        return canonical({**own, "seed": self.config.seed})

    def task(self, task: str) -> str:
        """The slice of `image_task`."""
        own = self.config.tasks[task].model_dump(include={"examples", "target_examples"})
        return canonical({**own, "seed": self.config.seed})

    def subsets(self, distribution: str, pack: str) -> str:
        """The slice of `subsets`."""
        entry, seed = self.config.distributions[distribution], self.config.seed
        draws = sorted({draw for draw, _ in self.runs_of(distribution, pack)})
        spec = {"name": distribution, "method": entry.method, "draws": draws, "seed": seed}
        if entry.method == "stratified":
            spec["fraction"] = entry.fraction
        if entry.method in REMOVALS:
            assert self.config.counterfactuals is not None
            spec |= {"shares": entry.shares, "images": self.config.counterfactuals.images}
        return canonical(spec)

    def train(self, scale: str, distribution: str, pack: str) -> str:
        """The slice of `train_pack`."""
        own = self.scales[scale]
        runs = self.runs_of(distribution, pack)
        return canonical({"model": own.model, "training": own.training, "runs": runs})

    def score(self) -> str:
        """The slice of `score_pack`."""
        options = self.config.attribution.trak
        own = options.model_dump(include={"checkpoints", "projection", "ridge"})
        return canonical({**own, "seed": self.config.seed})

    @property
    def regressed(self) -> list[str]:
        """Scales that have regression datamodels."""
        own = self.config.attribution.datamodels
        return self.scales_of(own.distribution) if own else []

    def regression(self) -> str:
        """The slice of `datamodels`."""
        own = self.config.attribution.datamodels
        return canonical(own.model_dump(include={"methods", "subsets", "tests"}) if own else None)

    def collect(self) -> str:
        """The slice of `collect_packs`."""
        packs = [
            {
                "scale": ref.scale,
                "distribution": ref.distribution,
                "pack": ref.pack,
                "role": self.config.distributions[ref.distribution].role,
                "parameters": self.scales[ref.scale].parameters,
                "flops": 3 * self.scales[ref.scale].forward_flops,
            }
            for ref in self.all_packs
        ]
        return canonical({"packs": packs, "tasks": list(self.config.tasks)})

    def statistics(self) -> str:
        """The slice of `image_statistics`."""
        own = self.config.attribution
        scales = {
            name: {"forward": s.forward_flops, "parameters": s.parameters, "epochs": self._kept(s)}
            for name, s in self.scales.items()
        }
        return canonical(
            {
                "attribution": own.model_dump(),
                "reference": self.config.reference,
                "scales": scales,
                "groups": self.config.groups,
                "confidence": self.config.confidence,
                **self._counterfactuals(),
            }
        )

    def _counterfactuals(self) -> dict[str, Any]:
        """The words of Figure 14: test images, the two widths, the shares that are left out."""
        own, entries = self.config.counterfactuals, self.config.distributions
        return {
            "counterfactuals": own and own.model_dump() | {"large": self.large},
            "removals": [[name, entry.shares] for name, entry in entries.items() if entry.shares],
        }

    @property
    def large(self) -> str:
        """The large width of Figure 14."""
        own = self.config.counterfactuals
        return (own.large if own else None) or self.config.reference

    def _kept(self, scale: Width) -> int:
        """Checkpoints that a scale's scores are averaged over."""
        chosen = self.config.attribution.trak.checkpoints
        return len(chosen or {*scale.training["checkpoints"], scale.training["epochs"]})

    def figure(self, name: str) -> str:
        """The slice of a figure."""
        spec: dict[str, Any] = {
            "figure": name,
            "reference": self.config.reference,
            "style": self.config.figures.style.get(name, {}),
        }
        if name.startswith("influence"):
            place = [n for n in FIGURES if n.startswith("influence")].index(name)
            spec["target"] = self.config.figures.targets[place]
            spec["task"] = next(iter(self.config.tasks))
            spec["q"] = self.config.attribution.trak.q
        if name == COUNTERFACTUAL:
            spec |= {"groups": self.config.groups, **self._counterfactuals()}
        return canonical(spec)

    def table(self, name: str) -> str:
        """The slice of a table."""
        rows = [
            {
                "scale": name,
                **{key: s.model[key] for key in MODEL},
                "parameters": s.parameters,
                "flops": s.forward_flops,
                **{key: s.training[key] for key in ImageTraining.model_fields if key != "stack"},
            }
            for name, s in self.scales.items()
        ]
        return canonical({"table": name, "scales": rows})
