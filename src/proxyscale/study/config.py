"""The words of a study: what `config.yaml` may say, typed, with every default in one place.

Unknown keys are refused. `validation` reads one and finds all mistakes of form, `cross_checks`
those of its parts against each other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from proxyscale.base.paths import results_folder
from proxyscale.study import proxy_selection
from proxyscale.study.config_data import (
    Distribution,
    PoolSection,
    SelectionSection,
    Source,
    Task,
    Tokenizer,
    members,
)
from proxyscale.study.config_decisions import Forecast, Propose
from proxyscale.study.config_models import (
    Attribution,
    Execution,
    Model,
    ProxySelection,
    Scale,
    Training,
)
from proxyscale.study.config_types import NUMBER, UNIQUE, Name, Positive, Seed, Seeds, Strict


class Figures(Strict):
    """What figures show; a change here redraws figures and does nothing else."""

    proxy: str | None = Field(
        None, description="the proxy of Figures 1, 4 and 5; default: the scale nearest to 1/175"
    )
    style: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="options of a figure by its name, e.g. correlation_fig1"
    )


class Report(Strict):
    """What the report shows."""

    texts: bool = Field(
        True,
        description="false leaves texts of corpora and test sets, images and paths out of the page",
    )


class StudyConfig(Strict):
    """What a study of every kind says of itself."""

    study: Name = Field("default", description="the study's name")
    results: Annotated[str, Field(min_length=1)] = Field(
        "results", description="the folder that everything is written to"
    )
    code: Literal["strict", "off"] = Field(
        "strict", description="off: changes of proxyscale's own code make nothing stale"
    )
    plugins: list[str] = Field(
        default_factory=list, description="Python files that register functions"
    )
    reference: str = Field(description="the scale that the others are to foretell")
    confidence: Annotated[float, NUMBER, Field(gt=0.5, lt=1)] = Field(
        0.95, description="of every interval"
    )
    report: Report = Field(default_factory=Report, description="what the report shows")

    @field_validator("code", mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return "off" if value is False else value  # which YAML makes of off without quotes

    @field_validator("results")
    @classmethod
    def _expanded(cls, value: str) -> str:
        return results_folder(value)


Level = Annotated[float, NUMBER, Field(ge=0.5, lt=1)]
Part = Annotated[float, NUMBER, Field(gt=0, lt=1)]


class Weighted(Strict):
    """An objective of weighted losses."""

    weights: dict[str, Annotated[float, NUMBER, Field(ge=0)]] = Field(
        description="the weight of each task; those that are not named have none", min_length=1
    )


class TrustDecisions(Strict):
    """Trust by the share of pairs that are ordered right."""

    decisions: Level = Field(description="decision accuracy to exceed")


class TrustRegret(Strict):
    """Trust by what following the proxy is expected to cost next time."""

    regret: Positive = Field(
        description="the expected regret to stay below: loss, or sd over recipes for the objective"
    )


class TrustCompute(Strict):
    """Trust by the compute that would make up for following the proxy next time."""

    compute: Annotated[float, NUMBER, Field(gt=1)] = Field(description="the factor to stay below")


class Reading(StudyConfig):
    """What is read of the losses, whoever trained the models."""

    groups: dict[Name, list[str]] = Field(
        default_factory=dict,
        description="distributions that get statistics of their own, by name; a NAME that has a "
        "`count` stands for all of its distributions",
    )
    objective: Literal["standardized", "worst"] | Weighted = Field(
        "standardized",
        description="what combines the tasks: the mean of their losses in standard deviations over "
        "recipes, the worst of them so, or the mean of the losses with weights",
    )
    trust: Level | TrustDecisions | TrustRegret | TrustCompute = Field(
        0.9,
        description="what a scale must be known to do, for the verdict: order more than this share "
        "of pairs right, or lose less than so much next time, in loss or as a factor of compute",
    )
    propose: Propose = Field(
        default_factory=Propose,
        description="the mixture to train on that proposal.yaml holds, where mixtures are varied "
        "(`method: dirichlet`): the one that does best under `objective` within these limits, by a "
        "Gaussian process of each loss; given as a second file of --configfile it is trained, and "
        "told is whether its promise held",
    )
    forecast: Forecast | None = Field(
        None,
        description="tell what to expect of a larger model, with what to train next (next.json): a "
        "range of the pairs that are ordered right if nothing new happens on the way, false in a "
        "quarter to two fifths of cases if a new regime begins; never part of the verdict",
    )
    figures: Figures = Field(default_factory=Figures)

    def objective_words(self) -> str | dict[str, dict[str, float]]:
        """The objective as the statistics read it."""
        named = self.objective
        return named if isinstance(named, str) else {"weights": dict(named.weights)}

    def trust_words(self) -> dict[str, float]:
        """What is trusted, by its kind: decisions, regret or compute."""
        trust = self.trust
        return {"decisions": trust} if isinstance(trust, float) else trust.model_dump()


class Config(Reading):
    """A study: sources, tasks, distributions and scales, and how they meet."""

    seed: Seed = Field(0, description="decides splits, samples and draws")
    seeds: Seeds = Field(2, description="training seeds of every run: their number, or a list")
    sources: dict[Name, Source] = Field(description="the corpora", min_length=1)
    tokenizer: Tokenizer = Field(default_factory=lambda: Tokenizer(train="bpe"))
    pool: PoolSection = Field(default_factory=PoolSection)
    tasks: dict[Name, Task] = Field(description="the test sets", min_length=1)
    selection: SelectionSection = Field(default_factory=SelectionSection)
    distributions: dict[Name, Distribution] = Field(description="what is compared", min_length=1)
    attribution: Attribution = Field(
        default_factory=Attribution, description="how models score pool examples for a task"
    )
    proxy_selection: ProxySelection | None = Field(
        None, description="select data through proxies of several scales (Figure 8)"
    )
    model: Model = Field(default_factory=Model)
    training: Training = Field(default_factory=Training)
    execution: Execution = Field(default_factory=Execution)
    order: Literal["shared", "independent"] = Field(
        "shared",
        description="shared: all scales see a seed's examples in one order, the smaller ones a "
        "prefix; independent: every scale in an order of its own, so that a proxy's seed noise has "
        "nothing in common with the reference's",
    )
    checkpoints: Annotated[list[Part], UNIQUE] = Field(
        default_factory=list,
        description="shares of a run's steps after which its weights are kept and measured: they "
        "are read as proxies that are not annealed, and tell how much a loss wavers along a run",
    )
    measured_in: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="losses are, whatever trained the models; bf16, which is for GPUs, moved mean "
        "losses of the default study by .003 at most, and what one distribution gains by .005",
    )
    rivals: Annotated[list[Literal["ngram", "overlap"]], UNIQUE] = Field(
        ["ngram", "overlap"],
        description="what trains nothing and stands beside the proxies: the loss of an n-gram "
        "model, the share of a test set's n-grams that a distribution has",
    )
    scales: dict[Name, Scale] = Field(description="model sizes", min_length=2)
    extra: dict[Name, list[str]] = Field(
        default_factory=dict,
        description="scales that train a distribution besides the grid, by distribution: these "
        "runs are not compared, but proposals and next steps look at them",
    )

    @field_validator("distributions")
    @classmethod
    def _expand(cls, value: dict[str, Distribution]) -> dict[str, Distribution]:
        """An entry with a `count` stands for as many distributions, each with a seed of its own."""
        expanded: dict[str, Distribution] = {}
        for name, entry in value.items():
            for member in members(name, entry):
                if entry.count and member in value:
                    raise ValueError(f"two distributions are named {member!r}")
                expanded[member] = entry
        return expanded

    @model_validator(mode="after")
    def _select(self) -> Config:
        """`proxy_selection` stands for distributions; a subset of the pool may be named before."""
        if self.proxy_selection is not None:
            for name, entry in proxy_selection.entries(self.proxy_selection).items():
                if name in self.distributions:
                    raise ValueError(f"proxy_selection has a distribution {name!r} of its own")
                self.distributions[name] = Distribution.model_validate(entry)
        return self

    def family(self, name: str) -> list[str]:
        """The distributions that a name stands for; none if there is no such name."""
        if name in self.distributions:
            return [name]
        return [
            member
            for member, entry in self.distributions.items()
            if entry.count and member in members(name, entry)
        ]
