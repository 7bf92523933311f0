"""The words of a study whose models are there already: which they are, and where they lie."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxyscale.study.config import Reading
from proxyscale.study.config_data import Task
from proxyscale.study.config_types import (
    NUMBER,
    UNIQUE,
    Count,
    Name,
    NonNegative,
    Positive,
    Seed,
    Strict,
)

Cell = Annotated[int, NUMBER] | str
Cells = dict[str, Cell | list[Cell]]
Seeds = list[Cell] | dict[Name, Cells | None]


def _one_seed() -> Seeds:
    return [0]


class ModelTokenizer(Strict):
    """A tokenizer that lies elsewhere than its model."""

    hub: str | None = Field(None, description="a repository of the Hugging Face hub")
    revision: str | None = Field(None, description="its commit, 40 hex digits")
    folder: str | None = Field(None, description="or a folder")


class Models(Strict):
    """Models that somebody trained: a row of a table each, or all of recipes, scales, seeds, steps.

    Templates are in Python's format syntax and name columns: those of the table, or recipe, scale,
    seed, step and what `recipes`, `scales` and `seeds` say of each. A column hub, folder or
    revision goes before the template of its name.
    """

    table: str | None = Field(
        None,
        description="path of a table with a row per model and the columns recipe, scale, perhaps "
        "seed, step, parameters, tokens, hub or folder, revision",
    )
    recipes: list[Name] | dict[Name, Cells | None] | None = Field(
        None, description="in place of a table: the recipes, perhaps with further columns of each"
    )
    scales: list[Name] | dict[Name, Cells | None] | None = Field(
        None,
        description="the scales, perhaps with further columns of each (parameters, tokens, step), "
        "of which seed and step may be lists",
    )
    seeds: Seeds = Field(
        default_factory=_one_seed,
        description="seeds, where a scale does not say its own, perhaps with further columns",
        min_length=1,
    )
    steps: Annotated[list[Cell], UNIQUE] = Field(
        default_factory=list,
        description="steps, where a scale does not say its own: the last counts, those before are "
        "checkpoints",
    )
    hub: str | None = Field(
        None, description="template of the repository: EleutherAI/pythia-{scale}"
    )
    revision: str | None = Field(
        None,
        description="template of the commit, branch or tag: step{step}; a branch is resolved when "
        "the model is first measured, and its commit counts from then on",
    )
    folder: str | None = Field(
        None, description="template of a folder, in place of hub: models/{recipe}-{scale}"
    )
    tokenizer: ModelTokenizer | None = Field(
        None, description="of all models, if not the one that lies with each"
    )
    weights: Literal["safetensors", "bin"] = Field(
        "safetensors", description="bin: pytorch_model.bin, by torch.load(weights_only=True)"
    )
    tokens_per_step: Positive | None = Field(
        None, description="training tokens of a step, where no column has the tokens"
    )
    tokens_per_parameter: Positive | None = Field(
        None, description="training tokens by parameters, where nothing else tells them"
    )
    context: Count | None = Field(
        None, description="tokens that a model sees, at most; default: what its own config says"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 on CUDA, else fp32"
    )
    batch_tokens: Count = Field(4096, description="tokens that are measured at once")
    keep: bool = Field(
        True, description="false: what was downloaded is deleted when it is measured"
    )
    gpus: NonNegative = Field(0, description="of a model's job, asked of a cluster's scheduler")


class OwnModels(Reading):
    """A study of models that are there already: they are measured, and nothing is trained."""

    seed: Seed = Field(0, description="decides which examples are taken")
    tasks: dict[Name, Task] = Field(description="the test sets, of records", min_length=1)
    models: Models = Field(description="models that somebody trained, measured here")
