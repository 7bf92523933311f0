"""The words of a study: what `config.yaml` may say, typed, with every default in one place.

Unknown keys are refused. All mistakes are found in one reading (`load`), each told with its key,
its value, what is allowed and the nearest name.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from proxyscale.base.errors import UserError, UserErrors
from proxyscale.base.paths import results_folder
from proxyscale.study import proxy_selection

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME)]


def _no_truth(value: Any) -> Any:
    """YAML's `yes` and `true` are no numbers, although Python counts with them."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not a truth value")
    return value


MOST_WORDS = 24  # of an overlap window: longer ones are tokens, as this key once counted


def _words(value: Any) -> Any:
    if isinstance(value, int) and value > MOST_WORDS:
        raise ValueError(
            f"this key counts words, not tokens, and {MOST_WORDS} is the most: a copy shorter than "
            "a window is found only whole; 8 is the default"
        )
    return value


NUMBER = BeforeValidator(_no_truth)
Share = Annotated[float, NUMBER, Field(ge=0, lt=1)]
Count = Annotated[int, NUMBER, Field(gt=0)]
Positive = Annotated[float, NUMBER, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, NUMBER, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, NUMBER, Field(ge=0, lt=2**32)]
Seeds = Count | Annotated[list[Seed], Field(min_length=1)]
Role = Literal["grid", "proxy", "counterfactual", "selection"]


class Strict(BaseModel):
    """A section in which every key is known and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Open(Strict):
    """A section whose further keys are the options of a registered function."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the function."""
        return dict(self.model_extra or {})


class Source(Open):
    """A corpus: one key names its kind (`installed`, `files`, `hub`, a plugin's)."""

    holdout: Share = Field(0.08, description="share of documents that are only ever measured")
    target: Share = Field(0.06, description="share of documents that selection may look at")
    max_bytes: Count | None = Field(None, description="read no more text than this, in bytes")
    max_document_bytes: Count | None = Field(
        None, description="cut documents at this size, in bytes"
    )
    documents: Count | None = Field(None, description="read no more documents than this")
    shards: Count = Field(
        1, description="jobs that tokenize it side by side; rows count as duplicates within one"
    )


class Tokenizer(Strict):
    """Trained here (`train`), a local `tokenizer.json` (`file`) or one from the hub (`hub`)."""

    train: Literal["bpe"] | None = Field(
        None, description="train a byte-level BPE on the pool's text"
    )
    vocabulary: Annotated[int, Field(ge=257, le=2**24)] = Field(
        1024,
        description="tokens of a trained tokenizer, the 256 bytes and the end of text included",
    )
    sample_bytes: Count = Field(
        1_000_000, description="text per source that it is trained on, in bytes"
    )
    file: str | None = Field(None, description="path of a tokenizer.json")
    hub: str | None = Field(None, description="a tokenizer on the Hugging Face hub")
    revision: str | None = Field(None, description="the commit of the hub's repository")
    pad_vocabulary_to: Count | None = Field(None, description="vocabulary of the model, if larger")


class PoolSection(Strict):
    """How the sources become candidate examples."""

    length: Annotated[int, Field(ge=2)] = Field(128, description="tokens in a packed example")


class Records(Strict):
    """Where a task's records come from: `files` or `hub`, or each split's own."""

    files: str | list[str] | None = Field(None, description="paths and globs")
    format: str | None = Field(None, description="of the files, if not told by their suffix")
    columns: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="names of the columns of csv and tsv files without a header"
    )
    at: str | None = Field(
        None, description="path to the records inside JSON, such as data.paragraphs.qas"
    )
    encoding: str | None = Field(None, description="of the files, if not UTF-8")
    hub: str | None = Field(None, description="a dataset on the Hugging Face hub")
    revision: str | None = Field(None, description="its commit, 40 hex digits")
    config: str | None = Field(None, description="the dataset's configuration")
    data_dir: str | None = Field(None, description="the folder of the dataset that is read")
    split: str | None = Field(None, description="the dataset's split; default: train")
    streaming: bool | None = Field(
        None, description="false downloads the dataset before it is read; default: true"
    )
    limit: Count | None = Field(None, description="read no more records than this")
    holdout: Records | None = Field(None, description="records of the holdout alone")
    target: Records | None = Field(None, description="records of the target alone")

    @property
    def parts(self) -> dict[str, Records]:
        """The places that records are read from, by the key below `records` (empty: itself)."""
        named = {"holdout": self.holdout, "target": self.target}
        own = {key: part for key, part in named.items() if part is not None}
        return own or {"": self}


class Task(Open):
    """A test set: `kind` names how examples are made, further keys are that kind's options."""

    kind: str = Field(description="text, prompt, squad, lambada, …; see `proxyscale explain tasks`")
    sources: list[str] | Literal["all"] | None = Field(
        None, description="sources whose held-out documents it is made of"
    )
    records: Records | None = Field(
        None,
        description="files or a hub dataset that it is made of; {target: …, holdout: …} if apart",
    )
    examples: Count = Field(700, description="holdout examples, at most")
    target_examples: Annotated[int, Field(ge=0)] = Field(
        400, description="target examples, at most"
    )
    split_by: str | None = Field(
        None, description="field whose values never straddle the two splits"
    )
    target: Annotated[float, Field(ge=0)] = Field(
        0.5, description="share (below 1) or number of the records that become target examples"
    )
    few_shot: Annotated[int, Field(ge=0)] = Field(
        0, description="solved examples before the question, taken from the target split"
    )
    overlap_window: Annotated[int, NUMBER, Field(ge=3), BeforeValidator(_words)] = Field(
        8,
        description="words; an example is dropped if over half of its windows of so many words "
        "stand in the pool's documents",
    )
    drop_context: bool = Field(
        False, description="also drop an example if the context given with it stands there"
    )
    whole_prompts: bool = Field(
        False, description="drop an example whose prompt does not fit whole; else it is cut"
    )


class SelectionSection(Strict):
    """What every distribution has unless it says otherwise."""

    size: Count = Field(6400, description="examples in a distribution")
    candidates: Count | None = Field(
        None, description="random pool examples that scores choose from; null is the whole pool"
    )
    draws: Count = Field(1, description="independent realizations of a distribution")


class Distribution(Open):
    """A training distribution: `method` names how it is selected, further keys are its options."""

    method: str = Field(
        description="random, source, mixture, …; see `proxyscale explain distributions`"
    )
    role: Role = Field("grid", description="`grid` distributions are the ones that are compared")
    size: Count | None = Field(None, description="examples, if not as in `selection`")
    candidates: Count | None = Field(None, description="candidates, if not as in `selection`")
    candidate_sources: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="sources that candidates come from, if not from all"
    )
    draws: Count | None = Field(None, description="realizations, if not as in `selection`")
    count: Count | None = Field(
        None, description="so many distributions instead of one, named NAME-000, NAME-001, …"
    )
    noise: Literal["none", "gumbel", "pareto"] | None = Field(
        None, description="added to the scores before the top is taken, if not the method's own"
    )
    repeat: bool = Field(False, description="let a source that is too small be repeated")
    task: str | None = Field(None, description="the task whose target examples it is selected for")
    scored_on: str | None = Field(
        None, description="the distribution that the scoring models train on"
    )
    scale: str | None = Field(None, description="the scale of the scoring models")
    epochs: Positive | None = Field(
        None, description="train for so many passes over it, whatever the scale's token budget"
    )


class ProxySelection(Strict):
    """Figure 8: select data through proxies of several scales, train one scale on each selection.

    Stands for distributions of role `selection`, named TASK-by-PROXY-PERCENT and the like.
    """

    tasks: list[str] = Field(description="the tasks that data is selected for", min_length=1)
    proxies: list[str] = Field(
        description="the scales that score; with the reference among them, how much of its own "
        "selection each proxy finds is told",
        min_length=1,
    )
    reference: str = Field(description="the scale that trains on every selection")
    candidates: Count = Field(description="random pool examples to select from")
    fractions: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.1], description="shares of the candidates that are selected", min_length=1
    )
    epochs: Positive = Field(1.0, description="passes over a selection")
    models: Count = Field(2, description="proxies averaged, each on a random subset of its own")
    subset: Count = Field(6400, description="examples in such a random subset of the pool")
    seeds: Annotated[int, Field(ge=2)] = Field(
        3, description="training seeds on every selection: random subsets differ in each"
    )


class ScoreComparison(Strict):
    """Whether the scales attribute alike: Figures 24 to 26 and 29."""

    scored_on: str = Field(
        description="a distribution of the grid, whose runs at every scale score"
    )
    tasks: Annotated[list[str], Field(min_length=1)] = Field(
        description="tasks with target examples: Figures 24, 25 and 26 show one of each"
    )
    sample: Annotated[int, Field(ge=100)] = Field(2000, description="pool examples that are scored")


class Attribution(Strict):
    """How models score pool examples for a task (TRAK)."""

    dimension: Count = Field(4096, description="k: gradients are projected to so many numbers")
    ridge: Positive = Field(0.3, description="added to the kernel, in mean eigenvalues of it")
    models: Count = Field(
        1, description="models averaged: runs of `scored_on`, one a draw, then the next seed"
    )
    compare: ScoreComparison | None = Field(
        None, description="hold the scores of all scales side by side; null: do not"
    )


class Model(Strict):
    """The architecture that all scales share; a scale may say otherwise."""

    family: Literal["language"] = Field(
        "language", description="GPT form: pre-norm, learned positions"
    )
    width: Count | None = Field(None, description="residual width")
    layers: Count | None = Field(None, description="transformer blocks")
    heads: Count | None = Field(None, description="attention heads; default: one per 16 of width")
    context: Count | None = Field(
        None, description="tokens that attend to each other; default: pool.length"
    )
    mlp_ratio: Count = Field(4, description="hidden width of the MLP over width")
    bias: bool = Field(False, description="biases in linear layers")
    tied: bool = Field(False, description="one matrix for embedding and head")
    parametrization: Literal["mup", "standard"] = Field(
        "mup", description="mup: hyperparameters hold across widths (Tensor Programs V)"
    )
    base_width: Count = Field(
        32, description="the width at which the learning rates are as written"
    )


class Training(Strict):
    """How models are trained; a scale may say otherwise."""

    engine: Literal["native", "llm-foundry"] = Field(
        "native", description="native: proxyscale's own; llm-foundry: MPT in its own environment"
    )
    tokens: Count | None = Field(
        None, description="token budget; default: tokens_per_parameter × P"
    )
    tokens_per_parameter: Positive = Field(
        20.0, description="Chinchilla's 20, or what the time allows"
    )
    batch_tokens: Count = Field(512, description="tokens in an optimizer step")
    learning_rate: Positive = Field(
        3e-2, description="peak, for embeddings, positions, norms and head"
    )
    hidden_learning_rate: Positive = Field(
        3e-3, description="peak at base_width, for hidden matrices; falls as 1/width under mup"
    )
    learning_rate_factor: Positive = Field(
        1.0,
        description="of all learning rates; below 1 at one scale it makes a variant of its proxy, "
        "which may rank better (2512.24503)",
    )
    weight_decay: NonNegative = Field(0.0, description="decoupled")
    betas: tuple[Share, Share] = Field((0.9, 0.95), description="AdamW's")
    eps: Positive = Field(1e-8, description="AdamW's")
    clip: Positive = Field(1.0, description="gradient norm, at most")
    warmup: Share = Field(0.05, description="share of the steps")
    final_learning_rate: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="of the peak, at the end of the cosine"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 on CUDA, else fp32"
    )


class Execution(Strict):
    """How runs are executed, which changes nothing but the rounding; a scale may say otherwise."""

    gpus: NonNegative = Field(
        0, description="of one run: several share its batches; 0.25: four runs on one at once"
    )
    micro_batch_tokens: Count | None = Field(
        None, description="tokens whose gradients one GPU takes at a time; default: a whole batch"
    )
    compile: bool = Field(False, description="torch.compile: a minute first, then faster on GPUs")
    checkpoint_minutes: Positive | None = Field(
        30, description="between two checkpoints, from which an interrupted run goes on"
    )
    foundry: str = Field(
        ".foundry/bin/python", description="the interpreter that has llm-foundry (`make foundry`)"
    )


def optional(section: type[BaseModel]) -> dict[str, Any]:
    """A section's keys as those of a scale, which may leave out every one of them."""
    return {
        name: (
            typing.cast(Any, field.annotation) | None,
            Field(None, description=field.description),
        )
        for name, field in section.model_fields.items()
        if name != "family"
    }


if typing.TYPE_CHECKING:

    class Scale(Strict):
        """A model size: any key of `model`, `training` and `execution`, and its seeds."""

        seeds: Seeds | None = None
        grid: bool = True
else:
    Scale = create_model(
        "Scale",
        __base__=Strict,
        __doc__="A model size: any key of `model`, `training` and `execution`, and its seeds.",
        **optional(Model),
        **optional(Training),
        **optional(Execution),
        seeds=(Seeds | None, Field(None, description="number or list, if not the study's")),
        grid=(
            bool,
            Field(True, description="false: no scale of the comparison, only where it is named"),
        ),
    )


class Figures(Strict):
    """What figures show; a change here redraws figures and does nothing else."""

    proxy: str | None = Field(
        None, description="the proxy of Figures 1, 4 and 5; default: the scale nearest to 1/175"
    )
    style: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="options of a figure by its name, e.g. correlation_fig1"
    )


def members(name: str, entry: Distribution) -> list[str]:
    """The distributions of an entry: itself, or as many as its `count` says."""
    return [f"{name}-{i:03d}" for i in range(entry.count)] if entry.count else [name]


class Reading(Strict):
    """What is read of the losses, whoever trained the models."""

    study: Name = Field("default", description="the study's name")
    results: Annotated[str, Field(min_length=1)] = Field(
        "results", description="the folder that everything is written to"
    )
    code: Literal["strict", "off"] = Field(
        "strict", description="off: changes of proxyscale's own code make nothing stale"
    )
    groups: dict[Name, list[str]] = Field(
        default_factory=dict,
        description="distributions that get statistics of their own, by name; a NAME that has a "
        "`count` stands for all of its distributions",
    )
    reference: str = Field(description="the scale that the others are to foretell")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="of every interval")
    trust: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.9, description="decision accuracy that a scale must be known to exceed, for the verdict"
    )
    figures: Figures = Field(default_factory=Figures)

    @field_validator("results")
    @classmethod
    def _expanded(cls, value: str) -> str:
        return results_folder(value)


class Config(Reading):
    """A study: sources, tasks, distributions and scales, and how they meet."""

    seed: Seed = Field(0, description="decides splits, samples and draws")
    seeds: Seeds = Field(2, description="training seeds of every run: their number, or a list")
    plugins: list[str] = Field(
        default_factory=list, description="Python files that register functions"
    )
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
    scales: dict[Name, Scale] = Field(description="model sizes", min_length=2)

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


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file's mapping. UserError with the line if it is broken or says a key twice."""
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from None
    try:
        value = yaml.load(text, Loader=_UniqueKeys)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"not YAML: {error}", where=str(path)) from None
    if not isinstance(value, dict):
        raise UserError("a study is a mapping of keys to values", where=str(path))
    return value


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys in silence; this refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name, line = self.construct_object(key, deep=True), key.start_mark.line + 1
            if not isinstance(name, str):
                raise yaml.YAMLError(f"the key {name!r} in line {line} is no word; quote it")
            if name in seen:
                raise yaml.YAMLError(f"the key {name!r} stands twice, again in line {line}")
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def parse(raw: Mapping[str, Any]) -> Config:
    """The typed study. UserErrors with all mistakes of form at once."""
    return validated(Config, raw)


S = typing.TypeVar("S", bound=BaseModel)


def validated(root: type[S], raw: Mapping[str, Any]) -> S:
    """A study of the kind `root`. UserErrors with all mistakes of form at once."""
    try:
        return root.model_validate(dict(raw))
    except ValidationError as error:
        raise UserErrors(
            _mistake(details, root) for details in deepest(error.errors(), root)
        ) from None


def deepest(errors: Iterable[Any], root: type[BaseModel]) -> list[Any]:
    """One of pydantic's errors for each place: of a key that takes several types every type has
    its say, and the one that got furthest into the value counts."""
    found = {tuple(_keys(details["loc"], root)): details for details in reversed(list(errors))}
    inner = {place[:depth] for place in found for depth in range(len(place))}
    return [details for place, details in reversed(found.items()) if place not in inner]


def _mistake(details: Any, root: type[BaseModel]) -> UserError:
    """One of pydantic's errors in the project's words."""
    location = _keys(details["loc"], root)
    where = ".".join(str(part) for part in location)
    value = details["input"]
    if details["type"] == "extra_forbidden":
        name = str(location[-1])
        fields = model_at(location[:-1], root).model_fields
        return UserError(f"no such key: {name!r}", where=where, value=name, allowed=sorted(fields))
    if details["type"] == "missing":
        return UserError("this key is required", where=where, hint=help_of(location, root))
    if details["type"] == "literal_error":
        allowed = typing.get_args(_stripped(_annotation_at(location, root)))
        return UserError(f"is {value!r}", where=where, value=value, allowed=allowed)
    if details["type"] == "value_error" and isinstance(value, dict):
        return UserError(str(details["ctx"]["error"]), where=where)
    return UserError(f"is {value!r}: {said(details)}", where=where, hint=help_of(location, root))


def said(details: Any) -> str:
    """The message of one of pydantic's errors, to stand after a colon."""
    message = str(details["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _keys(location: Iterable[Any], root: type[BaseModel]) -> list[Any]:
    """A location without the types that pydantic tried at a key that takes several."""
    keys: list[Any] = []
    for part in location:
        if not (_is_union(_annotation_at(keys, root)) and isinstance(part, str)):
            keys.append(part)
    return keys


def _is_union(annotation: Any) -> bool:
    """Whether values of several types will do, null aside."""
    if typing.get_origin(annotation) is Annotated:
        return _is_union(typing.get_args(annotation)[0])
    inner = [a for a in typing.get_args(annotation) if a is not type(None)]
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return False
    return len(inner) > 1 or _is_union(inner[0])


def _stripped(annotation: Any) -> Any:
    """A type without `Annotated` and `| None`."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        inner = [a for a in typing.get_args(annotation) if a is not type(None)]
        return _stripped(inner[0])
    return annotation


def _annotation_at(location: list[Any], root: type[BaseModel]) -> Any:
    """The type of the key at a location such as ["scales", "xs", "width"]."""
    found: Any = root
    for part in location:
        found = _stripped(found)
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = found.model_fields.get(str(part))
            found = field.annotation if field else Any
        else:
            arguments = typing.get_args(found)
            found = arguments[-1] if arguments else Any
    return found


def model_at(location: list[Any], root: type[BaseModel] = Config) -> type[BaseModel]:
    """The section that holds the keys at a location; the root itself at the top."""
    found = _stripped(_annotation_at(location, root))
    return found if isinstance(found, type) and issubclass(found, BaseModel) else root


def help_of(location: list[Any], root: type[BaseModel] = Config) -> str | None:
    """What a key is for, in a few words."""
    if not location:
        return None
    field = model_at(location[:-1], root).model_fields.get(str(location[-1]))
    return field.description if field else None
