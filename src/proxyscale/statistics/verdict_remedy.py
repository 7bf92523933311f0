"""What it takes that a scale which is not known to be trusted can be, in sentences."""

from __future__ import annotations

import numpy as np

from proxyscale.statistics.intervals import decision_bound
from proxyscale.statistics.trials import COMPUTE, DECISIONS, Trial, Trust
from proxyscale.statistics.verdict import Verdict, recipes_needed


def remedy(found: Verdict) -> list[str]:
    """What all failing tasks need together, in runs and compute; or that nothing is expected to."""
    if not found.failed:
        return []
    if blind := [t for t in found.failed if np.isnan(t.estimate)]:
        if len(found.failed) == 1:
            return []
        return [f"{_tasks(blind)}, more distributions or seeds would tell nothing new."]
    if beyond := [t for t in found.failed if not found.trust.met(t.estimate)]:
        where = f" o{_tasks(beyond)[1:]}" if len(found.failed) > 1 else ""
        return [
            f"The estimate itself{where} is not {_side(found.trust)}, so that more distributions "
            "or seeds are not expected to settle it."
        ]
    all_ = "all of them" if len(found.failed) > 1 else "it"
    first, ways = found.failed[0], []
    if found.recipes is not None:
        ways.append(
            f"about {found.recipes} distributions instead of {first.n}{_price(found, first)}"
        )
    if found.seeds is not None:
        ways.append(
            f"about {found.seeds} seeds instead of {first.reference_seeds:.3g}"
            f"{_seed_price(found, first)}"
        )
    least = _least(found)
    if ways:
        return [f"For {all_}, {' or '.join(ways)} would do if the estimates stay.{least}"]
    return [f"No number of distributions or seeds that can be told would settle {all_}.{least}"]


def _tasks(trials: list[Trial]) -> str:
    """Where some trials are: the first, and how many more."""
    more = f" and {len(trials) - 1} more" if len(trials) > 1 else ""
    return f"On {trials[0].task}{more}"


def _side(trust: Trust) -> str:
    if trust.kind == DECISIONS:
        return f"above {trust.level:.1%}".replace(".0%", "%")
    return f"below {trust.level:.3g}" + ("×" if trust.kind == COMPUTE else "")


def _least(found: Verdict) -> str:
    """That even a perfect order of so few proves too little, where it does."""
    first = min(found.failed, key=lambda t: t.n)
    if found.trust.kind != DECISIONS:
        return ""
    perfect = float(decision_bound(np.asarray(1.0), first.n, found.confidence))
    if perfect > found.trust.level:
        return ""
    least = recipes_needed(1.0, first.n, found.trust.level, found.confidence)
    return (
        f" Of {first.n} distributions even a perfect order proves only {perfect:.0%}: at least "
        f"{least} are needed."
    )


def _price(found: Verdict, trial: Trial) -> str:
    """What more distributions cost, at both scales."""
    if found.recipes is None or not np.isfinite(trial.seeds + trial.reference_seeds):
        return ""
    more = found.recipes - trial.n
    return _cost_of(more * trial.seeds, more * trial.reference_seeds, trial)


def _seed_price(found: Verdict, trial: Trial) -> str:
    if found.seeds is None:
        return ""
    factor = found.seeds / trial.reference_seeds - 1
    runs = trial.n * factor
    return _cost_of(runs * trial.seeds, runs * trial.reference_seeds, trial)


def _cost_of(small: float, large: float, trial: Trial) -> str:
    """Runs of the scale and of the reference, and their compute in runs of the reference."""
    runs = f"{round(small):,} runs of {trial.scale} and {round(large):,} of the reference"
    if not np.isfinite(trial.compute_ratio):
        return f" ({runs} more)"
    compute = large + small / trial.compute_ratio
    return f" ({runs} more, the compute of {compute:,.3g} runs of the reference)"
