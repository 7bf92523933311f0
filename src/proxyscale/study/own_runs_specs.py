"""What each job of a study of own runs depends on: one function a rule, with the rule's name."""

from __future__ import annotations

from proxyscale.study import reading_specs
from proxyscale.study.own_runs_config import OwnRuns
from proxyscale.study.study import Study, Words


def own_runs(study: Study[OwnRuns]) -> Words:
    """What the columns of the tables mean; the tables themselves are files."""
    return study.config.runs.model_dump(mode="json", exclude={"table", "weights"})


def statistics(study: Study[OwnRuns]) -> Words:
    """What is compared, and the columns of mixture weights, if there are any."""
    words, weights = reading_specs.statistics(study), study.config.runs.weights
    if weights is None:
        return words
    recipe = weights.recipe or study.config.runs.columns.recipe
    return words | {"weights": {"columns": weights.columns, "recipe": recipe}}


def proposal(study: Study[OwnRuns]) -> Words:
    """What is proposed, within which limits."""
    return reading_specs.proposal(study)


def next_steps(study: Study[OwnRuns]) -> Words:
    """What may be trained next."""
    return reading_specs.next_steps(study)


def figure(study: Study[OwnRuns], name: str) -> Words:
    """A figure; no unit is known of what others measured."""
    words = reading_specs.figure(study, name)
    return words | {"style": {"unit": None} | words["style"]}


def report(study: Study[OwnRuns]) -> Words:
    """What the report shows."""
    return reading_specs.report(study, figure(study, "correlation_fig1"))
