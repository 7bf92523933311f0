"""What each job of a study of models that are there depends on: one function a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxyscale.study import reading_specs
from proxyscale.study.models_config import OwnModels
from proxyscale.study.models_table import OwnModel
from proxyscale.study.study import Study, Words
from proxyscale.tables.measured_models import FACTS

# Keys of a task that its questions depend on.
ASKED = ("kind", "examples", "split_by", "target", "few_shot")
MEASURED = ("weights", "context", "precision", "batch_tokens", "keep")


def questions(study: Study[OwnModels], task: str) -> Words:
    """A test set: its kind, its options, where its records come from, how many."""
    entry = study.config.tasks[task]
    own: dict[str, Any] = {name: getattr(entry, name) for name in ASKED}
    own["records"] = entry.records.model_dump(exclude_none=True) if entry.records else None
    return {**own, "options": entry.options, "seed": study.config.seed}


def measure(study: Study[OwnModels], model: OwnModel, stamp: str) -> Words:
    """A model: where it lies, and how it is read; `stamp` tells its files, where they lie here."""
    section = study.config.models
    own = section.tokenizer
    return {
        **{name: getattr(model, name) for name in ("hub", "folder", "revision")},
        **{name: getattr(section, name) for name in MEASURED},
        "tokenizer": own.model_dump() if own else None,
        "stamp": stamp,
    }


def collect_models(study: Study[OwnModels], models: Sequence[OwnModel]) -> Words:
    """The models and the test sets, and what tells the tokens of a model."""
    return {
        "models": [[getattr(model, name) for name in FACTS] for model in models],
        "tasks": list(study.config.tasks),
        "tokens_per_parameter": study.config.models.tokens_per_parameter,
    }


def statistics(study: Study[OwnModels]) -> Words:
    """What is compared."""
    return reading_specs.statistics(study)


def figure(study: Study[OwnModels], name: str) -> Words:
    """A figure; which unit the losses have is known when the tokenizers are."""
    words = reading_specs.figure(study, name)
    return words | {"style": {"unit": None} | words["style"]}


def report(study: Study[OwnModels]) -> Words:
    """What the report shows."""
    return reading_specs.report(study, figure(study, "correlation_fig1"))
