"""A scale as it will be trained: the study's `model` and `training` with the scale's own words."""

from __future__ import annotations

import functools
import importlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxyscale import registry
from proxyscale.base import artifacts
from proxyscale.base.cost import language_parameters, training_flops
from proxyscale.base.errors import UserError
from proxyscale.base.paths import expand
from proxyscale.data.tokens import vocabulary_size
from proxyscale.registry import DEFAULT_ARCHITECTURE
from proxyscale.study.config import Config
from proxyscale.study.config_data import Tokenizer
from proxyscale.study.config_models import Execution, Model, Training

LEARNING_RATES = ("learning_rate", "hidden_learning_rate")
# That no other architecture has.
GPT_KEYS = ("heads", "mlp_ratio", "bias", "tied", "initialization")
# Makes the classes of transformers' architectures; asked for them alone, since it imports torch.
HUGGING_FACE = "proxyscale.training.hugging_face"


@dataclass(frozen=True)
class ResolvedScale:
    """One scale with nothing left to default: what the trainer is given."""

    name: str
    model: dict[str, Any]
    training: dict[str, Any]
    execution: dict[str, Any]
    seeds: tuple[int, ...]
    length: int

    @property
    def parameters(self) -> int:
        """All parameters, embeddings and head included."""
        return parameters(self.model)

    @property
    def tokens(self) -> int:
        """The token budget, in whole optimizer steps."""
        return self.steps(self.training["tokens"])

    def steps(self, tokens: float) -> int:
        """The nearest number of tokens that makes whole optimizer steps, one at least."""
        batch = int(self.training["batch_tokens"])
        return max(1, round(tokens / batch)) * batch

    @property
    def flops(self) -> float:
        """6·P·D of one run."""
        return training_flops(self.parameters, self.tokens)

    def mistakes(self) -> Iterator[UserError]:
        """What makes this scale untrainable."""
        where = f"scales.{self.name}"
        for key in ("width", "layers"):
            if self.model[key] is None:
                yield UserError(f"the scale has no {key}", where=where, hint=f"say {key}: here")
        yield from self._unmade()
        context = self.model["context"]
        if self.length % context:
            yield UserError(
                f"context {context} does not divide pool.length {self.length}",
                where=f"{where}.context",
            )
        elif self.training["batch_tokens"] % context:
            yield UserError(
                f"batch_tokens {self.training['batch_tokens']} is no multiple of the "
                f"context {context}",
                where=f"{where}.batch_tokens",
            )
        yield from self._unshared(where)

    def _unshared(self, where: str) -> Iterator[UserError]:
        """Why GPUs and nodes cannot share a run."""
        gpus, nodes = self.execution["gpus"], self.execution["nodes"]
        if gpus > 1 and gpus != int(gpus):
            yield UserError(f"{gpus} GPUs are no whole number", where=f"{where}.gpus")
        elif nodes > 1 and (gpus < nodes or gpus % nodes):
            message = f"{gpus:g} GPUs are no equal shares of {nodes} nodes"
            yield UserError(message, where=f"{where}.nodes", hint="gpus: of all nodes together")
        launcher = self.execution["launcher"]
        try:
            shlex.split(launcher.format(nodes=nodes, gpus=gpus))
        except (ValueError, KeyError, IndexError) as error:
            message = f"is {launcher!r}, which cannot be filled in: {error}"
            yield UserError(message, where=f"{where}.launcher", hint="{nodes} and {gpus} are known")
        if self.training["engine"] == "llm-foundry":
            for key, said in (("nodes", nodes > 1), ("sharded", self.execution["sharded"])):
                if said:
                    message = "llm-foundry is run here on one node, with all states on every GPU"
                    yield UserError(message, where=f"{where}.{key}", hint="engine: native")

    def _unmade(self) -> Iterator[UserError]:
        """Why the architecture cannot be made as the scale wants it."""
        where, width, named = (
            f"scales.{self.name}",
            self.model["width"],
            self.model["parametrization"],
        )
        architecture = self.model.get("architecture")
        if architecture is None:
            heads = self.model["heads"]
            if width and width % heads:
                yield UserError(f"width {width} is no multiple of {heads} heads", where=where)
            if named == "mup" and self.model["tied"]:
                yield UserError(
                    "tied embeddings have no mup readout", where=f"{where}.tied", hint="tied: false"
                )
            if named == "mup" and "initialization" in self.model:
                yield UserError(
                    "mup has an initialization of its own", where=f"{where}.initialization"
                )
            return
        if self.training["engine"] == "llm-foundry":
            message = f"{self.training['engine']} trains gpt alone, not {architecture}"
            yield UserError(message, where=f"{where}.engine", hint="engine: native")
        try:
            allowed = kind(architecture).parametrizations
            if named not in allowed:
                message = f"{architecture} has no parametrization {named!r}"
                yield UserError(message, where=f"{where}.parametrization", allowed=allowed)
            if complete(self.model):
                parameters(self.model)
        except UserError as error:
            place = f"{where}.{error.where}" if error.where else where
            hint, value = error.hint, error.value
            yield UserError(
                error.message, where=place, value=value, allowed=error.allowed, hint=hint
            )


def resolve(config: Config, name: str) -> ResolvedScale:
    """The scale `name` of a study, defaults filled in."""
    scale = config.scales[name]
    own = {key: value for key, value in scale.model_dump().items() if value is not None}
    seeds = own.pop("seeds", config.seeds)
    own.pop("grid")
    model = config.model.model_dump() | {k: v for k, v in own.items() if k in Model.model_fields}
    training = config.training.model_dump()
    training |= {k: v for k, v in own.items() if k in Training.model_fields}
    execution = config.execution.model_dump()
    execution |= {k: v for k, v in own.items() if k in Execution.model_fields}
    model["vocabulary"] = vocabulary(config.tokenizer)
    model["context"] = model["context"] or config.pool.length
    model["heads"] = model["heads"] or max(1, (model["width"] or 1) // 16)
    if model["architecture"] == config.model.architecture:
        model["config"] = config.model.config | own.get("config", {})
    else:  # what the study says there it says of another one
        model |= {key: own.get(key, {}) for key in ("options", "config")}
    model = {key: value for key, value in model.items() if key not in _unsaid(model)}
    per_parameter = training.pop("tokens_per_parameter")
    factor = training.pop("learning_rate_factor")
    training |= {key: factor * training[key] for key in LEARNING_RATES}
    if training["tokens"] is None:
        training["tokens"] = round(per_parameter * _parameters_or_one(model))
    if isinstance(engine := training["engine"], dict):
        needs = engine["needs"]
        training["engine"] = {name: engine[name] for name in ("command", "format")}
        execution |= {key: needs[key] for key in ("gpus", "nodes", "hours")}
    training["betas"] = list(training["betas"])
    return ResolvedScale(
        name=name,
        model=model,
        training=training,
        execution=execution,
        seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds),
        length=config.pool.length,
    )


def _unsaid(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that an architecture has not; the default one's name is left unsaid, too."""
    if model["architecture"] == DEFAULT_ARCHITECTURE:
        usual = model["initialization"] == Model.model_fields["initialization"].default
        return "architecture", "options", "config", *(["initialization"] * usual)
    own = model["architecture"] in registry.architecture.functions
    return (*GPT_KEYS, "config" if own else "options")


def kind(architecture: str) -> Any:
    """The class of a plugin's or of transformers' architecture. UserError if there is none."""
    if architecture in registry.architecture.functions:
        return registry.architecture[architecture]
    return importlib.import_module(HUGGING_FACE).architecture(architecture)


def complete(model: Mapping[str, Any]) -> bool:
    """Whether a scale says all that a model is made of."""
    return model["width"] is not None and model["layers"] is not None


def parameters(model: Mapping[str, Any]) -> int:
    """All parameters: in closed form, or as another architecture counts them itself.

    UserError if there is no such architecture, or if it cannot be made so.
    """
    if "architecture" not in model:
        return language_parameters(model)
    return _counted(json.dumps(model, sort_keys=True))


@functools.cache
def _counted(model: str) -> int:
    spec = json.loads(model)
    name, options = spec["architecture"], spec.get("options", {})
    try:
        return int(kind(name).count(spec, **options))
    except (TypeError, KeyError) as error:
        raise UserError(f"{name} cannot be made: {error!r}") from None


def _parameters_or_one(model: Mapping[str, Any]) -> int:
    """1 where they cannot be told, which is a mistake of its own."""
    try:
        return parameters(model) if complete(model) else 1
    except UserError:
        return 1


def vocabulary(section: Tokenizer) -> int:
    """The model's vocabulary, known before anything is tokenized.

    It is said (`pad_vocabulary_to`, or `vocabulary` of a tokenizer that is trained here), or it is
    that of a local tokenizer.json; 1 where that cannot be read, which is a mistake of its own.
    """
    if section.pad_vocabulary_to or section.train:
        return section.pad_vocabulary_to or section.vocabulary
    try:
        return tokenizer_size(expand(section.file)) if section.file else 1
    except UserError:
        return 1


@functools.cache
def tokenizer_size(path: str) -> int:
    """The vocabulary of a tokenizer.json, the end of text included. UserError if it is none."""
    told = artifacts.foreign_json(path)
    try:
        return vocabulary_size(told)
    except (KeyError, TypeError, ValueError):
        raise UserError("not a tokenizer.json", where=path) from None
