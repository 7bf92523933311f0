"""The verdict in sentences: what can be trusted, why no more, what that takes, what it assumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from proxyscale.base.progress import cheaper
from proxyscale.statistics.objective import NAME
from proxyscale.statistics.proxy_statistics import OWN_UNIT as OWN_UNIT
from proxyscale.statistics.regrets import MOST_COMPUTE
from proxyscale.statistics.trials import COMPUTE, DECISIONS, REGRET, Trial
from proxyscale.statistics.verdict import OVERALL, Verdict
from proxyscale.statistics.verdict_remedy import remedy

ASSUMPTION = (
    "This is about recipes of the same kind as these: on a kind that is rare among them a scale "
    "may be misjudged."
)


def words(found: Verdict, unit: str = OWN_UNIT) -> str:
    """The verdict in a few sentences. `unit` is that of a task's losses."""
    parts = [claim(found, unit), *_why(found, unit), *remedy(found), *_by_size(found)]
    return " ".join([*parts, *_rivals(found), *_together(found), ASSUMPTION])


def claim(found: Verdict, unit: str = OWN_UNIT) -> str:
    """The first sentence: what can be trusted, and which groups say otherwise."""
    what = f"{_deed(found, unit)} ({found.confidence:.0%} confidence)"
    if found.trusted is not None:
        scale, where = found.trusted.scale, _where(found)
        told = f"{where}, {scale} can be trusted to {what}{_saved(found.trusted)}"
    else:
        told = _none(found, what)
    return f"{told}{_elsewhere(found)}."


def _where(found: Verdict) -> str:
    if found.task == OVERALL:
        return f"On every task ({found.tasks})"
    return "On the objective" if found.task == NAME else f"On {found.task}"


def _none(found: Verdict, what: str) -> str:
    """Of no trusted scale, with as many scales and tasks as there are."""
    if found.task == OVERALL and found.hopeless:
        where = "On no task" if found.tasks > 2 else "On neither task"
        return f"{where} {_any(found)} known to {what}"
    if found.task == OVERALL:
        every = "both tasks" if found.tasks == 2 else f"all {found.tasks} tasks"
        return f"On {every} together, {_no(found)} known to {what}"
    return f"{_where(found)}, {_no(found)} known to {what}"


def _no(found: Verdict) -> str:
    one = f"{found.failed[0].scale}, the only proxy, is not"
    return one if found.scales == 1 else "none of these scales is"


def _any(found: Verdict) -> str:
    one = f"is {found.failed[0].scale}, the only proxy,"
    return one if found.scales == 1 else "is any of these scales"


def _deed(found: Verdict, unit: str) -> str:
    """What a trusted scale does."""
    trust = found.trust
    if trust.kind == DECISIONS:
        return f"order pairs right in more than {trust.level:.1%} of cases".replace(".0%", "%")
    best = f"the best of {_recipes(found)} new recipes"
    if trust.kind == REGRET:
        lost = _amount(found, trust.level, unit)
        return f"pick a recipe expected to lose less than {lost} to {best}"
    return (
        f"pick a recipe that less than {trust.level:.3g} times the compute is expected to lift to "
        f"{best}"
    )


def _recipes(found: Verdict) -> str:
    counts = {trial.n for trial in _tried(found)}
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _amount(found: Verdict, value: float, unit: str) -> str:
    """A regret with its unit."""
    units = {trial.unit for trial in _tried(found)}
    if units <= {OWN_UNIT}:
        unit = OWN_UNIT
    return f"{value:.3g} {unit if units <= {'loss', OWN_UNIT, ''} else 'sd over recipes'}"


def _saved(trusted: Trial) -> str:
    """What the trusted scale saves, where compute is known."""
    ratio = trusted.compute_ratio
    if not np.isfinite(ratio):
        return ""
    return f", {cheaper(ratio)} than the reference"


def _tried(found: Verdict) -> list[Trial]:
    return [*found.failed, *([found.trusted] if found.trusted else [])]


def _by_size(found: Verdict) -> list[str]:
    """By what scales are ordered where compute does not tell."""
    if not np.isnan([trial.compute_ratio for trial in _tried(found)]).any():
        return []
    order = ", so scales are tested in the order of their sizes" * (found.scales > 1)
    return [f"The compute of these scales is not known{order}: what one saves cannot be told."]


def _elsewhere(found: Verdict) -> str:
    """The groups that say otherwise."""
    parts = [
        f"among {group} alone " + (f"{scale} can be trusted" if scale else "no scale is known to")
        for group, scale in found.elsewhere
    ]
    for group, scale, *kinds in found.contrary:
        told = [
            f"{what}{_on(tasks, found)}"
            for what, tasks in zip(_turned(scale), kinds, strict=True)
            if tasks
        ]
        parts.append(f"among {group} alone {' and '.join(told)}")
    return f"; {', '.join(parts)}" if parts else ""


def _turned(scale: str) -> tuple[str, str, str]:
    """What a group says otherwise of a scale: its sign, that following it costs or does not."""
    return (
        f"r of {scale} has the other sign",
        f"following {scale} is known to cost",
        f"following {scale} is not known to cost",
    )


def _on(tasks: Sequence[str], found: Verdict) -> str:
    """On which tasks, of a verdict on several."""
    if found.task != OVERALL:
        return ""
    if len(tasks) < 3:
        return f" on {' and '.join(tasks)}"
    return f" on {len(tasks)} of {found.tasks} tasks"


def _together(found: Verdict) -> list[str]:
    """That seeds move proxy and reference alike, or against each other, and what follows."""
    told = []
    for sign, way, follows in (
        (1, "with", "may pass its ceiling"),
        (-1, "against", "may stay below its ceiling whatever the proxy knows"),
    ):
        mine = [one for one in found.together if one.value * sign > 0]
        if not mine:
            continue
        most = max(mine, key=lambda one: abs(one.value))
        where = _on([one.task for one in mine], found)
        at = f" on {most.task}" if len(mine) > 1 else ""
        told.append(
            f"Differences of {most.scale} from seed to seed go {way} the reference's{where} (r "
            f"{most.value:.2f} [{most.low:.2f}, {most.high:.2f}]{at}), so that R² {follows}."
        )
    return told


def _rivals(found: Verdict) -> list[str]:
    """That what trains nothing orders as well as a proxy, where it does; of all, the nearest."""
    if not found.rivals:
        return []
    best = max(found.rivals, key=lambda match: match.share)
    told = (
        f"{best.rival}, which trains nothing, orders {best.share:.0%} of pairs right, no fewer "
        f"than {best.scale} ({best.scale_share:.0%})"
    )
    if found.task != OVERALL:
        return [f"{told}."]
    count = f"{len(found.rivals)} of {found.tasks}"
    return [f"On {count} tasks what trains nothing does as well as a proxy: on {best.task} {told}."]


def _why(found: Verdict, unit: str) -> list[str]:
    """Why the tests ended: the failing scale, its hardest task, and what is odd about it."""
    if not found.failed:
        if found.scales == 1:
            return ["It is the only proxy of the study, so a smaller one may do as well."]
        return ["It is the smallest proxy of the study, so a smaller one may do as well."]
    hardest = found.failed[0]
    scale = f"The next, {hardest.scale}," if found.trusted else hardest.scale
    if len(found.failed) == found.tasks == 1 or found.tasks == 1:
        where = ""
    elif len(found.failed) == found.tasks:
        every = "both tasks" if found.tasks == 2 else f"every one of the {found.tasks} tasks"
        where = f" on {every}, hardest on {hardest.task}, where it"
    elif len(found.failed) == 1:
        where = f" on {hardest.task} alone, where it"
    else:
        where = (
            f" on {len(found.failed)} of {found.tasks} tasks, hardest on {hardest.task}, where it"
        )
    start = f"{scale} falls short{where}" if where else scale
    return [f"{start} {_finding(hardest, found, unit)}."]


def _finding(trial: Trial, found: Verdict, unit: str) -> str:
    """What one trial found, after the scale's name."""
    if np.isnan(trial.accuracy):
        return (
            f"cannot be judged: the reference has one value for all {trial.n} distributions, so "
            "that there is nothing to order"
        )
    counts = {tried.n for tried in _tried(found)}
    of = f" of {trial.n} distributions" if len(counts) > 1 else ""
    right = f"orders {trial.accuracy:.0%} of pairs{of} right"
    if trial.tied == 1:
        right = f"has one value for all {trial.n} distributions and orders nothing"
    else:
        right += ", worse than a coin" * (trial.accuracy < 0.5)
        share = f"{trial.tied:.0%}" if trial.tied >= 0.005 else "less than 1%"
        right += f", {share} of them tied and counted one half" * (trial.tied > 0)
    if found.trust.kind == DECISIONS:
        return f"{right}, which proves only {trial.bound:.0%}"
    if np.isnan(trial.bound):
        told = "the compute" if found.trust.kind == COMPUTE else "the regret"
        return f"{right}; {told} that this costs cannot be told"
    if found.trust.kind == REGRET:
        estimate, bound = (_amount(found, v, unit) for v in (trial.estimate, trial.bound))
        return f"{right}; its expected regret is {estimate}, and only more than {bound} is excluded"
    known = "only more than" if trial.bound <= MOST_COMPUTE else "nothing up to"
    return (
        f"{right}; its expected regret is {_times(trial.estimate)} the compute, and {known} "
        f"{min(trial.bound, MOST_COMPUTE):.3g}× is excluded"
    )


def _times(value: float) -> str:
    """A factor of compute."""
    return f"{'more than ' * (value > MOST_COMPUTE)}{min(value, MOST_COMPUTE):.3g}×"
