"""The words of a study whose runs are there already: which table, and what its columns mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxyscale.study.config import Reading
from proxyscale.study.config_types import Positive, Strict

Direction = Literal["lower", "higher"]


class Columns(Strict):
    """What the columns of a table of runs are called; what is null goes by its usual names."""

    recipe: str | None = Field(
        None, description="training data; default: recipe, distribution, mixture, data or index"
    )
    scale: str | None = Field(
        None, description="model size; default: scale, size or model, else that of the parameters"
    )
    parameters: str | None = Field(None, description="parameters; default: parameters or params")
    tokens: str | None = Field(None, description="training tokens; default: tokens")
    seed: str | None = Field(
        None, description="default: seed; rows that repeat are seeds where there is no column"
    )
    task: str | None = Field(None, description="test set; default: task, where metrics are columns")
    example: str | None = Field(None, description="test example, if losses are not averaged")


class OwnScale(Strict):
    """What a scale cost; its name is that in the table."""

    parameters: Positive | None = Field(
        None, description="all parameters; default: as in the table, or in a name such as 60M"
    )
    tokens: Positive | None = Field(None, description="training tokens of one run")


class Weights(Strict):
    """The mixtures that the recipes are, for the regression from weights to loss."""

    table: str = Field(description="path of a table with a row per recipe")
    columns: str = Field("*", description="columns that hold weights, as a glob")
    recipe: str | None = Field(None, description="column of the recipe, if not as in the runs")


class Runs(Strict):
    """Runs that somebody trained: a table of losses or of other metrics, long or wide."""

    table: str | dict[str, str] = Field(
        description="path of a CSV, parquet or jsonl file, or one path for each scale"
    )
    columns: Columns = Field(default_factory=Columns, description="what its columns are called")
    metrics: str | Annotated[list[str], Field(min_length=1)] = Field(
        "loss", description="columns that hold losses or metrics, as globs"
    )
    direction: Direction | dict[str, Direction] = Field(
        "lower", description="which values are better: lower or higher, or one by glob of the task"
    )
    scales: dict[str, OwnScale] = Field(default_factory=dict, description="parameters and tokens")
    tokens_per_parameter: Positive | None = Field(
        None, description="training tokens of the scales for which none are given"
    )
    weights: Weights | None = Field(None, description="mixture weights of the recipes")


class OwnRuns(Reading):
    """A study of runs that are there already: nothing is trained."""

    runs: Runs = Field(description="the table of runs")
