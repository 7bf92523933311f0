"""The words of a config about data: sources, tokenizer, pool, tasks and distributions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from proxyscale.data.opening import check_encoding
from proxyscale.data.overlap import check_window
from proxyscale.study.config_types import (
    NUMBER,
    Count,
    Few,
    Open,
    Positive,
    Role,
    Share,
    Strict,
    checked,
)


class Source(Open):
    """A corpus: one key names its kind (`installed`, `files`, `hub`, a plugin's)."""

    holdout: Share = Field(0.08, description="share of documents that are only ever measured")
    target: Share = Field(0.06, description="share of documents that selection may look at")
    max_bytes: Count | None = Field(None, description="read no more text than this, in bytes")
    max_document_bytes: Count | None = Field(
        None, description="cut documents at this size, in bytes"
    )
    documents: Count | None = Field(None, description="read no more documents than this")
    shards: Few = Field(
        1,
        description="jobs that tokenize it side by side, each of which drops its duplicate rows, "
        "and processes that read its files, up to 8, and compare its texts in a selection",
    )


class Tokenizer(Strict):
    """Trained here (`train`), a local `tokenizer.json` (`file`) or one from the hub (`hub`)."""

    train: Literal["bpe"] | None = Field(
        None, description="train a byte-level BPE on the pool's text"
    )
    vocabulary: Annotated[int, NUMBER, Field(ge=257, le=2**24)] = Field(
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

    length: Annotated[int, NUMBER, Field(ge=2, le=10**6)] = Field(
        128, description="tokens in a packed example"
    )


class Place(Strict):
    """Where records come from: `files` or `hub`."""

    files: str | list[str] | None = Field(None, description="paths and globs")
    format: str | None = Field(None, description="of the files, if not told by their suffix")
    columns: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="names of the columns of csv and tsv files without a header"
    )
    at: str | None = Field(
        None, description="path to the records inside JSON, such as data.paragraphs.qas"
    )
    encoding: Annotated[str, checked(check_encoding)] | None = Field(
        None, description="of the files, if not UTF-8"
    )
    hub: str | None = Field(None, description="a dataset on the Hugging Face hub")
    revision: str | None = Field(None, description="its commit, 40 hex digits")
    config: str | None = Field(None, description="the dataset's configuration")
    data_dir: str | None = Field(None, description="the folder of the dataset that is read")
    data_files: str | list[str] | None = Field(
        None, description="paths and globs of the dataset's files, which no split of it has"
    )
    split: str | None = Field(None, description="the dataset's split; default: train")
    streaming: bool | None = Field(
        None, description="false downloads the dataset before it is read; default: true"
    )
    limit: Count | None = Field(None, description="read no more records than this")


class Records(Place):
    """Where a task's records come from: `files` or `hub`, or each split's own."""

    holdout: Place | None = Field(None, description="records of the holdout alone")
    target: Place | None = Field(None, description="records of the target alone")

    @property
    def parts(self) -> dict[str, Place]:
        """The places that records are read from, by the key below `records` (empty: itself)."""
        named = {"holdout": self.holdout, "target": self.target}
        own = {key: part for key, part in named.items() if part is not None}
        return own or {"": self}


class Task(Open):
    """A test set: `kind` names how examples are made, further keys are that kind's options."""

    kind: str = Field(description="text, prompt, squad, lambada, …; see `proxyscale explain tasks`")
    sources: Annotated[list[str], Field(min_length=1)] | Literal["all"] | None = Field(
        None, description="sources whose held-out documents it is made of"
    )
    records: Records | None = Field(
        None,
        description="files or a hub dataset that it is made of; {target: …, holdout: …} if apart",
    )
    examples: Count = Field(700, description="holdout examples, at most")
    target_examples: Annotated[int, NUMBER, Field(ge=0, le=10**15)] = Field(
        400, description="target examples, at most"
    )
    split_by: str | None = Field(
        None, description="field whose values never straddle the two splits"
    )
    target: Annotated[float, NUMBER, Field(ge=0, le=1e15)] = Field(
        0.5, description="share (below 1) or number of the records that become target examples"
    )
    few_shot: Annotated[int, NUMBER, Field(ge=0, le=10**15)] = Field(
        0, description="solved examples before the question, taken from the target split"
    )
    overlap_window: Annotated[int, NUMBER, checked(check_window), Field(ge=3)] = Field(
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

    @property
    def record_files(self) -> list[str | list[str] | None]:
        """The local files that its records are read from, part by part."""
        return [part.files for part in self.records.parts.values()] if self.records else []


class SelectionSection(Strict):
    """What every distribution has unless it says otherwise."""

    size: Count = Field(6400, description="examples in a distribution")
    candidates: Count | None = Field(
        None, description="random pool examples that scores choose from; null is the whole pool"
    )
    draws: Few = Field(1, description="independent realizations of a distribution")


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
    draws: Few | None = Field(None, description="realizations, if not as in `selection`")
    count: Few | None = Field(
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


def members(name: str, entry: Distribution) -> list[str]:
    """The distributions of an entry: itself, or as many as its `count` says."""
    return [f"{name}-{i:03d}" for i in range(entry.count)] if entry.count else [name]
