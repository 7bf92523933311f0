"""The verdict: the cheapest scale that can be trusted, from a statistics table.

Trust is in decisions (the share of pairs ordered right), in the regret next time or in the compute
that makes up for it; a bound holds for recipes of the same kind as these. Under all three a scale
is falsely trusted in at most 6 % of simulated studies, normal or clustered (tests/statistics); with
heavy tails (Student's t of three degrees) it is 6 to 8.5 % in decisions (`intervals`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from proxyscale.base.errors import UserError
from proxyscale.statistics.intervals import decision_above, decision_bound, from_pearson
from proxyscale.statistics.objective import NAME
from proxyscale.statistics.second_looks import (
    Contrary,
    Match,
    Rows,
    Together,
    contrary,
    matches,
    together,
)
from proxyscale.statistics.trials import COMPUTE, DECISIONS, Trial, Trust, trials, trust_of

MOST_RECIPES = 10_000
MOST_SEEDS = 100
OVERALL = "overall"


class Verdict(NamedTuple):
    """What can be trusted on one task, on the objective, or on every task (`overall`).

    `trusted` is the hardest trial of the cheapest trusted scale; `failed` are all trials that the
    next cheaper one failed, the hardest first, where the tests ended. `recipes` and `seeds` are
    what all of `failed` would need together if their estimates stayed; None if that would not do or
    cannot be told. `elsewhere` names what is trusted in groups that say otherwise, `contrary` where
    groups turn the sign or the regret of the scale that is spoken of; `rivals` are the tasks on
    which something that trains nothing does as well as a proxy, `together` those on which seeds
    move the scale that is spoken of and the reference alike.
    """

    task: str
    tasks: int
    trust: Trust
    confidence: float
    trusted: Trial | None
    failed: tuple[Trial, ...]
    recipes: int | None
    seeds: int | None
    scales: int
    hopeless: bool  # no scale is trusted on any single task
    elsewhere: tuple[tuple[str, str | None], ...] = ()
    contrary: tuple[Contrary, ...] = ()
    rivals: tuple[Match, ...] = ()
    together: tuple[Together, ...] = ()

    @property
    def spoken_of(self) -> str:
        """The trusted scale, or the one that failed first."""
        return self.trusted.scale if self.trusted else self.failed[0].scale


def verdict(
    statistics: pa.Table,
    trust: float | Mapping[str, float] = 0.9,
    confidence: float = 0.95,
    group: str = "all",
) -> list[Verdict]:
    """Verdicts: `overall` and the objective's, where there are several tasks, then each task's.

    Scales are tested from the largest proxy down and the first failure ends it, so that the chance
    of trusting any scale falsely is at most 1 − confidence without a correction (fixed-sequence
    testing, Maurer, Hothorn & Lehmacher 1995). Overall, a scale passes if it passes on every task.
    Verdicts of the group `all` tell where other groups say otherwise.
    """
    level = trust_of(trust)
    if not 0.5 < confidence < 1:
        raise UserError("confidence is a share from 0.5 to 1", value=confidence)
    tested = trials(statistics, confidence, level, group)
    found = _of_group(tested, level, confidence)
    if group != "all":
        return found
    rows, each = Rows(statistics), [task for task in tested if task != NAME]
    for other in statistics["group"].unique().to_pylist():
        if other != "all":
            theirs = trials(statistics, confidence, level, other)
            said = {v.task: v for v in _of_group(theirs, level, confidence)}
            found = [_beside(one, rows, each, other, said.get(one.task)) for one in found]
    return [
        one._replace(
            rivals=matches(rows, tasks, [t.scale for t in tested[tasks[0]]][::-1]),
            together=together(rows, tasks, one.spoken_of),
        )
        for one in found
        for tasks in [each if one.task == OVERALL else [one.task]]
    ]


def _beside(
    one: Verdict, rows: Rows, tasks: Sequence[str], group: str, other: Verdict | None
) -> Verdict:
    """The verdict, with what a group says otherwise."""
    if other is None:
        return one
    mine, theirs = (v.trusted.scale if v.trusted else None for v in (one, other))
    if mine != theirs:
        one = one._replace(elsewhere=(*one.elsewhere, (group, theirs)))
    own = tasks if one.task == OVERALL else [one.task]
    turned = contrary(rows, group, own, one.spoken_of)
    return one._replace(contrary=(*one.contrary, turned)) if turned else one


def _of_group(tested: Mapping[str, list[Trial]], trust: Trust, confidence: float) -> list[Verdict]:
    if not tested:
        return []
    tasks = {task: scales for task, scales in tested.items() if task != NAME}
    each = {task: _decide(task, [[t] for t in s], trust, confidence) for task, s in tested.items()}
    shared = set.intersection(*({t.scale for t in scales} for scales in tasks.values()))
    if not shared:
        raise UserError("no scale was compared on every task", where="runs.table")
    joint = [[t for t in scales if t.scale in shared] for scales in tasks.values()]
    overall = _decide(OVERALL, [list(t) for t in zip(*joint, strict=True)], trust, confidence)
    if len(tasks) == 1:
        return list(each.values())
    hopeless = all(each[task].trusted is None for task in tasks)
    return [
        overall._replace(hopeless=hopeless),
        *(each[task] for task in ([NAME] if NAME in each else []) + list(tasks)),
    ]


def _hardness(trial: Trial, trust: Trust) -> float:
    """The order of trials: the hardest is the least; what cannot be told is harder still."""
    signed = trial.bound if trust.kind == DECISIONS else -trial.bound
    return -np.inf if np.isnan(signed) else signed


def _decide(task: str, scales: list[list[Trial]], trust: Trust, confidence: float) -> Verdict:
    """The last scale before the first failure, and what that failure would need."""
    trusted: Trial | None = None
    failed: tuple[Trial, ...] = ()
    for tests in scales:
        tests = sorted(tests, key=lambda t: _hardness(t, trust))
        failed = tuple(t for t in tests if not trust.met(t.bound))
        if failed:
            break
        trusted = tests[0]
    needs = [_needs(t, trust, confidence) for t in failed]
    recipes, seeds = (_most([need[kind] for need in needs]) for kind in (0, 1))
    return Verdict(
        *(task, len(scales[0]), trust, confidence, trusted, failed, recipes, seeds, len(scales)),
        hopeless=trusted is None,
    )


def _most(counts: list[int | None]) -> int | None:
    """What is enough for all; None if there is nothing to meet, or something that cannot be."""
    known = [count for count in counts if count is not None]
    return max(known) if known and len(known) == len(counts) else None


def _needs(trial: Trial, trust: Trust, confidence: float) -> tuple[int | None, int | None]:
    """Distributions and seeds that a failed trial needs, if its estimate is on the right side."""
    if not trust.met(trial.estimate):
        return None, None
    if trust.kind == DECISIONS:
        return (
            recipes_needed(trial.accuracy, trial.n, trust.level, confidence),
            seeds_needed(trial, trust.level, confidence),
        )
    return _recipes_for_regret(trial, trust, confidence), None


def _fewest(enough: Callable[[int], bool], low: int) -> int | None:
    """The least count from `low` on that is enough; None above 10,000."""
    high = MOST_RECIPES
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


@functools.lru_cache(maxsize=4096)  # of many tasks with few recipes most are asked for again
def recipes_needed(accuracy: float, n: int, level: float, confidence: float) -> int | None:
    """The least number of distributions, n or more, whose bound on `accuracy` is above level.

    None if more than 10,000 would be needed, as when the accuracy itself is not above level.
    """

    def enough(count: int) -> bool:
        return bool(decision_above(np.asarray(accuracy), count, level, confidence))

    return _fewest(enough, n) if accuracy > level else None


def _recipes_for_regret(trial: Trial, trust: Trust, confidence: float) -> int | None:
    """The same for a regret of as many recipes as now: its bound shrinks as 1 − r's does."""
    if not np.isfinite(trial.bound):
        return None

    def unlike(count: int) -> float:
        bound = decision_bound(np.asarray(trial.accuracy), count, confidence)
        return float(1 - np.sin(np.pi * (bound - 0.5)))

    now, wanted = unlike(trial.n), trust.level / trial.bound
    if trust.kind == COMPUTE:
        wanted = np.log(trust.level) / np.log(trial.bound)
    return _fewest(lambda count: unlike(count) / now < wanted, trial.n)


@functools.lru_cache(maxsize=4096)  # the report and the closing words ask alike
def seeds_needed(tested: Trial, level: float, confidence: float) -> int | None:
    """The least number of seeds of proxy and reference for which the bound is expected above level.

    Both get the same multiple of their seeds; the latent correlation sin(π·(accuracy − ½)) rises by
    the square root of both reliabilities' gain (Spearman–Brown). None if no number up to a hundred
    times as many would do, or without seed noise to go by.
    """
    ceilings = np.array(tested.ceilings)
    if not (ceilings > 0).all():
        return None
    factor = np.arange(2, MOST_SEEDS + 1)[:, None]
    gain = factor / (1 + (factor - 1) * ceilings)  # ρ of k times the seeds over ρ now
    latent = np.sin(np.pi * (tested.accuracy - 0.5)) * np.sqrt(gain.prod(axis=1))
    expected = from_pearson("decision_accuracy", np.minimum(latent, 1))
    enough = decision_above(expected, tested.n, level, confidence)
    return round(tested.reference_seeds * (np.argmax(enough) + 2)) if enough.any() else None
