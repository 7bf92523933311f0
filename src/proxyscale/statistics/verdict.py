"""The verdict: the cheapest scale whose decisions can be trusted, from a statistics table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proxyscale.base.errors import UserError
from proxyscale.statistics.intervals import decision_bound, from_pearson

MOST_RECIPES = 10_000
MOST_SEEDS = 100


class Trial(NamedTuple):
    """One scale's decision accuracy on one task, with its one-sided lower bound."""

    scale: str
    accuracy: float
    bound: float
    n: int  # distributions
    compute_ratio: float
    seeds: float  # of the reference
    ceilings: tuple[float, float]  # R² ceilings of proxy and reference; NaN without seeds


class Verdict(NamedTuple):
    """What can be trusted on one task (or `overall`) at decision accuracy `level`.

    `trusted` is the cheapest trusted scale, `failed` the next cheaper one, where the tests ended;
    None if there is none. `recipes` and `seeds` are what `failed` would need to pass if its
    accuracy stayed as estimated; None if that would not do or cannot be told.
    """

    task: str
    level: float
    confidence: float
    trusted: Trial | None
    failed: Trial | None
    recipes: int | None
    seeds: int | None


def verdict(statistics: pa.Table, level: float = 0.9, confidence: float = 0.95) -> list[Verdict]:
    """Verdicts: `overall` first, then each task's.

    Scales are tested from the largest proxy down and the first failure ends it, so that the chance
    of trusting any scale falsely is at most 1 − confidence without a correction (fixed-sequence
    testing, Maurer, Hothorn & Lehmacher 1995). Overall, a scale passes if it passes on every task.
    """
    if not 0.5 <= level < 1 or not 0.5 < confidence < 1:
        raise UserError("level and confidence are shares from 0.5 to 1", value=(level, confidence))
    tested = trials(statistics, confidence)
    common = set.intersection(*({t.scale for t in scales} for scales in tested.values()))
    if not common:
        raise UserError("no scale was compared on every task", where="runs.table")
    each = [_decide(task, scales, level, confidence) for task, scales in tested.items()]
    # the hardest task of each scale stands for all
    joint = [[t for t in scales if t.scale in common] for scales in tested.values()]
    worst = [min(tasks, key=lambda t: t.bound) for tasks in zip(*joint, strict=True)]
    return [_decide("overall", worst, level, confidence), *each]


def words(found: Verdict) -> str:
    """The verdict in two sentences: what can be trusted, and what it would take to know more."""
    where = "On every task" if found.task == "overall" else f"On {found.task}"
    claim = (
        f"pairs right in more than {found.level:.0%} of cases ({found.confidence:.0%} confidence)"
    )
    if found.trusted is None:
        first = f"{where}, none of these scales is known to order {claim}."
    else:
        first = f"{where}, {found.trusted.scale} can be trusted to order {claim}{_saved(found)}."
    return f"{first} {_more(found)}"


def trials(statistics: pa.Table, confidence: float) -> dict[str, list[Trial]]:
    """Every task's scales, the largest proxy first.

    Extrapolations, which have no r2, stay out, and of scales of equal compute all but the first.
    """
    chosen = pc.and_(
        pc.equal(statistics["level"], "distribution"), pc.equal(statistics["group"], "all")
    )
    table: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in statistics.filter(chosen).to_pylist():
        table.setdefault((row["task"], row["proxy"]), {})[row["statistic"]] = row
    tasks: dict[str, list[Trial]] = {}
    for (task, proxy), rows in table.items():
        if "r2" in rows:
            tasks.setdefault(task, []).append(_test(proxy, rows, confidence))
    for scales in tasks.values():
        if len(scales) > 1 and np.isnan([tested.compute_ratio for tested in scales]).any():
            raise UserError(
                "the verdict tests scales in the order of their compute, which is not known",
                where="runs: flops",
                hint="give each scale's parameters and tokens",
            )
        scales.sort(key=lambda tested: tested.compute_ratio)
    return {task: _without_variants(scales) for task, scales in tasks.items()}


def _without_variants(scales: list[Trial]) -> list[Trial]:
    """Of scales of equal compute, which differ in a learning rate or the like, the first named."""
    first = [scales[0].compute_ratio, *(tested.compute_ratio for tested in scales)]
    return [t for i, t in enumerate(scales) if i == 0 or t.compute_ratio != first[i]]


def _test(proxy: str, rows: dict[str, dict[str, Any]], confidence: float) -> Trial:
    """A scale's bound, from its rows by statistic."""

    def value(statistic: str) -> float:
        found = rows.get(statistic, {}).get("value")
        return np.nan if found is None else float(found)

    row, accuracy = rows["decision_accuracy"], value("decision_accuracy")
    return Trial(
        scale=proxy,
        accuracy=accuracy,
        bound=float(np.nan_to_num(decision_bound(np.asarray(accuracy), row["n"], confidence))),
        n=row["n"],
        compute_ratio=np.nan if row["compute_ratio"] is None else row["compute_ratio"],
        seeds=value("reference_seeds"),
        ceilings=(value("noise_ceiling"), value("reference_noise_ceiling")),
    )


def _decide(task: str, scales: list[Trial], level: float, confidence: float) -> Verdict:
    """The last scale before the first failure, and what that failure would need."""
    passed = [tested.bound > level for tested in scales]
    first = passed.index(False) if False in passed else len(scales)
    failed = scales[first] if first < len(scales) else None
    return Verdict(
        task=task,
        level=level,
        confidence=confidence,
        trusted=scales[first - 1] if first else None,
        failed=failed,
        recipes=recipes_needed(failed.accuracy, failed.n, level, confidence) if failed else None,
        seeds=seeds_needed(failed, level, confidence) if failed else None,
    )


def recipes_needed(accuracy: float, n: int, level: float, confidence: float) -> int | None:
    """The least number of distributions, n or more, whose bound on `accuracy` is above level.

    None if more than 10,000 would be needed, as when the accuracy itself is not above level.
    """

    def enough(count: int) -> bool:
        return bool(decision_bound(np.asarray(accuracy), count, confidence) > level)

    low, high = n, MOST_RECIPES
    if not accuracy > level or not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


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
    enough = decision_bound(expected, tested.n, confidence) > level
    return round(tested.seeds * (np.argmax(enough) + 2)) if enough.any() else None


def _saved(found: Verdict) -> str:
    """What the trusted scale saves, where compute is known."""
    assert found.trusted is not None
    ratio = found.trusted.compute_ratio
    if not np.isfinite(ratio):
        return ""
    told = f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
    return f", at 1/{told} of the reference's compute"


def _more(found: Verdict) -> str:
    """The second sentence: why the tests ended, and what would take them further."""
    if found.failed is None:
        return "It is the smallest scale of the study, so a smaller one may do as well."
    failed = found.failed
    told = f"The next, {failed.scale}, " if found.trusted else f"{failed.scale} "
    told += f"orders {failed.accuracy:.0%} of pairs right, which proves only {failed.bound:.0%}"
    perfect = float(decision_bound(np.asarray(1.0), failed.n, found.confidence))
    if perfect <= found.level:
        least = recipes_needed(1.0, failed.n, found.level, found.confidence)
        return (
            f"{told}; of {failed.n} distributions even a perfect order proves only {perfect:.0%}, "
            f"so at least {least} are needed."
        )
    ways = []
    if found.recipes is not None:
        ways.append(f"about {found.recipes} distributions instead of {failed.n}")
    if found.seeds is not None:
        ways.append(f"about {found.seeds} seeds instead of {failed.seeds:.3g}")
    if ways:
        return f"{told}; {' or '.join(ways)} would settle it if it stays so."
    return f"{told}; neither more distributions nor more seeds are expected to lift it."
