"""The words of a study whose runs are there already: which table, and what its columns mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxyscale.study.config import Reading
from proxyscale.study.config_types import Positive, Strict, checked
from proxyscale.tables.columns import pattern_form

Direction = Literal["lower", "higher"]

Several = Annotated[list[str], Field(min_length=1)]
Words = str | Several
Pattern = Annotated[str, checked(pattern_form)]


class Columns(Strict):
    """What the columns of a table of runs are called; what is null goes by its usual names."""

    recipe: Words | None = Field(
        None,
        description="training data, of one column or several; default: recipe, distribution, "
        "mixture, data, dataset, corpus or index",
    )
    scale: str | None = Field(
        None,
        description="model size; default: scale, size or model_size, else that of the parameters, "
        "of the FLOPs, or model",
    )
    parameters: str | None = Field(None, description="parameters; default: parameters or params")
    tokens: str | None = Field(None, description="training tokens; default: tokens")
    flops: str | None = Field(None, description="compute of one run; default: flops or compute")
    seed: str | None = Field(None, description="training seed; default: seed")
    step: str | None = Field(
        None, description="of checkpoints, the last of which counts; default: step or checkpoint"
    )
    task: str | None = Field(None, description="test set; default: task, where metrics are columns")
    metric: str | None = Field(
        None, description="name of the metric, where one column holds all values; default: metric"
    )
    example: str | None = Field(None, description="test example, if losses are not averaged")


class OwnScale(Strict):
    """What a scale cost; its name is that in the table."""

    parameters: Positive | None = Field(
        None, description="all parameters; default: as in the table, or in a name such as 60M"
    )
    tokens: Positive | None = Field(None, description="training tokens of one run")
    flops: Positive | None = Field(None, description="compute of one run; default: 6·P·D")


class Weights(Strict):
    """The mixtures that the recipes are, for the regression from weights to loss."""

    table: str = Field(description="path of a table with a row per recipe")
    columns: str = Field("*", description="columns that hold shares, as a glob")
    recipe: Words | None = Field(None, description="columns of the recipe, if not as in the runs")


class Runs(Strict):
    """Runs that somebody trained: a table of losses or of other metrics, long or wide."""

    table: Words | dict[str, Words] = Field(
        description="paths of tables (CSV, TSV, JSON, parquet, arrow, xlsx, packed or not), of "
        "evaluation programs' files or of folders of them; or those of each scale"
    )
    columns: Columns = Field(default_factory=Columns, description="what its columns are called")
    header: Several | None = Field(
        None, description="names of the columns, in order, where the file has none"
    )
    pattern: Pattern | None = Field(
        None,
        description="how the models' names are made, such as '{recipe}-{scale}'; there are "
        "{seed}, {step}, {tokens} and {_} (anything), too",
    )
    metrics: Words | None = Field(
        None,
        description="columns that hold losses or metrics, as globs; default: loss or value, or all "
        "of an evaluation program's",
    )
    direction: Direction | dict[str, Direction] | None = Field(
        None,
        description="which values are better: lower or higher, or one by glob of the task; "
        "default: what the file or the metric's name tells",
    )
    by: list[str] = Field(
        default_factory=list,
        description="columns that tell runs of one scale and recipe apart (tokens, architecture): "
        "each value is a scale of its own",
    )
    repeats: Literal["seeds"] | None = Field(
        None, description="seeds: rows that differ in nothing but their values are training seeds"
    )
    ignore: list[str] = Field(default_factory=list, description="columns that mean nothing here")
    only_scales: Several | None = Field(
        None, description="the scales to compare, as globs; default: all"
    )
    scales: dict[str, OwnScale] = Field(default_factory=dict, description="what scales cost")
    tokens_per_parameter: Positive | None = Field(
        None, description="training tokens of the scales for which none are given"
    )
    weights: Weights | None = Field(None, description="mixture weights of the recipes")


class OwnRuns(Reading):
    """A study of runs that are there already: nothing is trained."""

    runs: Runs = Field(description="the table of runs")
