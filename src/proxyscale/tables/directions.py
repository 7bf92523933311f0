"""Which values of a metric are better: as somebody says, else as its name does, else not known."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from proxyscale.base.errors import UserError
from proxyscale.base.progress import few

LOWER_WORDS = (
    "loss nll ppl perplexity bpb bits ce xent crossentropy entropy error err wer cer ter mse "
    "rmse mae brier losses regret"
)
LOWER = frozenset(LOWER_WORDS.split())
HIGHER_WORDS = (
    "acc accuracy accuracies f1 em exact match score scores prob probability correct margin "
    "bleu chrf rouge rouge1 rouge2 rougel mcc auc auroc precision recall pass win winrate "
    "reward likelihood loglikelihood logprob logprobs logp logits logit map ndcg mrr pearson "
    "spearman"
)
HIGHER = frozenset(HIGHER_WORDS.split())
NEGATIVE = {"neg", "negative", "minus"}


class Metric(NamedTuple):
    """What one task's values are: the task's whole name, its parts, and what its file says."""

    task: str  # as it is told
    column: str  # the metric's own name, whole
    base: str  # the test set, "" where columns name it
    told: str | None  # lower or higher, as the file says


def by_name(name: str) -> str | None:
    """The direction that a name shows; the last word that tells decides. None if none does."""
    words = re.findall(r"[a-z]+\d?|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    found = None
    for word in words:
        if word in LOWER:
            found = "lower"
        elif word in HIGHER:
            negated = bool(NEGATIVE & set(words)) and "like" in word
            found = "lower" if negated else "higher"
    return found


def directions(metrics: Sequence[Metric], said: str | Mapping[str, str] | None) -> dict[str, str]:
    """Task → lower, higher or unknown. `said`: one word for all, or one by glob, the first counts.

    UserError for a glob that matches no task, and for names that look like an accuracy where
    nobody said that higher is better.
    """
    globs = said if isinstance(said, Mapping) else {}
    for glob in globs:
        if not any(_matches(glob, metric) for metric in metrics):
            where, names = "runs.direction", [metric.task for metric in metrics]
            raise UserError("no metric matches", where=where, value=glob, allowed=names)
    found, doubtful = {}, []
    for metric in metrics:
        stated = next((way for glob, way in globs.items() if _matches(glob, metric)), None)
        way = stated or (said if isinstance(said, str) else metric.told)
        if way is None:
            way = by_name(metric.column) or by_name(metric.base) or "unknown"
            if way == "higher":
                doubtful.append(metric.task)
        found[metric.task] = way
    if doubtful:
        raise UserError(
            f"higher values seem to be better, but nobody said so: {few(doubtful)}",
            where="runs.direction",
            hint=f"--higher {doubtful[0]!r} if they are, --lower {doubtful[0]!r} if not (globs "
            "name several)",
        )
    return found


def _matches(glob: str, metric: Metric) -> bool:
    names = (metric.task, metric.column, metric.base)
    return any(name and (name == glob or fnmatch.fnmatchcase(name, glob)) for name in names)


def directions_told(better: Mapping[str, str]) -> list[str]:
    """Which metrics are better high, low, or not known to be either: a line for each kind."""
    words = {
        "lower": "lower is better",
        "higher": "higher is better",
        "unknown": "not known which values are better, so no pick or regret is told; ordered as "
        "losses (--higher, --lower)",
    }
    kinds = {way: [task for task, found in better.items() if found == way] for way in words}
    return [f"{words[way]}: {few(tasks)}" for way, tasks in kinds.items() if tasks]
