"""The verdict as the report shows it: a headline, paragraphs, and a table of all scales' bounds."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from proxyscale.base.errors import UserError
from proxyscale.base.progress import cheaper, few
from proxyscale.statistics.trials import COMPUTE, DECISIONS, REGRET, Trial, Trust, trials, trust_of
from proxyscale.statistics.verdict import OVERALL, Verdict, verdict
from proxyscale.statistics.verdict_words import words

STEPS = 100  # of the level that a reader may move


class Answer:
    """What the statistics say at the study's level of trust; or why they say nothing."""

    def __init__(self, statistics: pa.Table, said: Any, confidence: float, unit: str) -> None:
        self.statistics, self.confidence, self.unit = statistics, confidence, unit
        self.trust = trust_of(said)
        self.found: list[Verdict] = []
        self.refusal = ""
        try:
            self.found = verdict(statistics, said, confidence)
        except UserError as error:
            self.refusal = str(error)

    @property
    def headline(self) -> str:
        """The verdict in a few words, and the groups that say otherwise."""
        if not self.found:
            return "No verdict"
        first = self.found[0]
        groups = dict.fromkeys([*(e[0] for e in first.elsewhere), *(c[0] for c in first.contrary)])
        return _briefly(first) + f"; otherwise among {few(list(groups))}" * bool(groups)

    @property
    def paragraphs(self) -> str:
        """The overall verdict as a paragraph, those of the tasks as a list below it."""
        if not self.found:
            return f"<p>{html.escape(self.refusal)}</p>"
        overall, *each = (html.escape(words(one, self.unit)) for one in self.found)
        if len(each) < 2:
            return f"<p>{overall}</p>"
        rows = "".join(f"<li>{told}</li>" for told in each)
        summary = "<summary>Test set by test set</summary>"
        return f"<p>{overall}</p><details>{summary}<ul>{rows}</ul></details>"

    def ladders(self) -> dict[str, Any]:
        """Every group's tasks and scales, cheap to dear, with estimate and bound of what trust is
        in; the study's level and the range in which a reader may move it."""
        groups = self.statistics["group"].unique().to_pylist() if self.found else []
        shown = {}
        for group in sorted(groups, key=lambda name: name != "all"):
            tested = trials(self.statistics, self.confidence, self.trust, group)
            if tested:
                shown[group] = _ladder(tested)
        return {
            "kind": self.trust.kind,
            "level": self.trust.level,
            "range": _range(self.trust),
            "ladders": shown,
            "note": _note(self.trust, self.confidence),
        }


def _briefly(first: Verdict) -> str:
    """The scale that can be trusted and what that saves, or that none can."""
    where = "every test set" if first.task == OVERALL else first.task
    if first.trusted is None:
        if first.scales == 1:
            return f"{first.failed[0].scale} is not known to be trustworthy on {where}"
        return f"None of these scales is known to be trustworthy on {where}"
    ratio = first.trusted.compute_ratio
    known = ratio == ratio
    saved = f"{cheaper(ratio)} than the reference" if known else "what that saves is not known"
    return f"{first.trusted.scale} can be trusted on {where}, {saved}"


def _ladder(tested: Mapping[str, list[Trial]]) -> list[dict[str, Any]]:
    return [
        {
            "task": task,
            "scales": [
                {"scale": t.scale, "value": _known(t.estimate), "bound": _known(t.bound)}
                for t in reversed(scales)
            ],
        }
        for task, scales in tested.items()
    ]


def _known(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _range(trust: Trust) -> list[float]:
    """Least, most and step of the level."""
    if trust.kind == DECISIONS:
        return [0.5, 0.99, 0.01]
    least = 1.0 if trust.kind == COMPUTE else 0.0
    step = float(f"{(trust.level - least) / STEPS * 4:.1g}")
    return [least + step, least + STEPS * step, step]


def _note(trust: Trust, confidence: float) -> str:
    """What the ladder shows."""
    what = {
        DECISIONS: "Share of pairs of distributions that a scale orders as the reference does, a "
        "tie counting one half",
        REGRET: "What the scale's pick of as many new recipes is expected to lose to the best, at "
        "the reference",
        COMPUTE: "The compute that would make up for what the scale's pick of as many new recipes "
        "is expected to lose",
    }[trust.kind]
    return (
        f"{what}: what is known with {confidence:.0%} confidence, and the estimate. ✓ is trusted: "
        "known to keep the level at this and at every larger scale."
    )
