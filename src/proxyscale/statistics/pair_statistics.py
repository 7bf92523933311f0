"""All numbers of one proxy against the reference, on one task, over one group of distributions.

What they are is said where they are gathered (`proxy_statistics`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from proxyscale.statistics import intervals, rank_intervals, regrets, seed_noise
from proxyscale.statistics.grid import Array
from proxyscale.statistics.measures import Decisions, correlations, decisions, levers
from proxyscale.statistics.seed_noise import Noise

TOP = 3
RANKED = {
    "spearman": rank_intervals.spearman_interval,
    "kendall": rank_intervals.kendall_interval,
}
NEGATIVE = "r < 0"  # the unit of an R² of a negative correlation
Row = dict[str, Any]


class Pair(NamedTuple):
    """Mean losses and seed noise of a proxy and of the reference, over the same distributions."""

    proxy: Array  # [distributions]
    reference: Array  # [distributions]
    noise: Noise  # of the proxy
    reference_noise: Noise
    names: Sequence[str]
    below: Array | None  # [distributions] losses of the largest scale below the reference
    below_ratio: float  # compute of the reference over that scale's
    paired: tuple[Array, Array, Array]  # runs of one seed: values at both scales, distribution
    reference_rows: Sequence[Row]  # what `noise_rows` tells of the reference, whatever the proxy


class Extent(IntEnum):
    """How much is told of a pair."""

    LEAST = 0  # the correlations, decision accuracy, and the noise of seeds
    BRIEF = 1  # no intervals of ranks, which take long, nor regrets
    WHOLE = 2


def pair_rows(pair: Pair, confidence: float, extent: Extent = Extent.WHOLE) -> Iterator[Row]:
    """Every statistic of the pair, or fewer."""
    yield from _correlation_rows(pair, confidence, extent)
    found = decisions(pair.proxy, pair.reference)
    yield from _decision_rows(pair, found, confidence, extent)
    if extent == Extent.WHOLE:
        yield from _regret_rows(pair, found, confidence)
    yield from noise_rows("", pair.proxy, pair.noise, confidence)
    yield from pair.reference_rows
    if extent == Extent.LEAST:
        return
    value, *ends, n = seed_noise.seed_correlation(*pair.paired, confidence)
    yield _row("seed_correlation", value, n, ends)


def _row(
    statistic: str,
    value: Any,
    n: int,
    ends: Any = (np.nan, np.nan),
    limit: Any = np.nan,
    named: str | None = None,
    unit: str | None = None,
) -> Row:
    """A row's numbers, as plain floats; `ends` are those of its interval."""
    numbers = {"value": value, "low": ends[0], "high": ends[1], "ceiling": limit}
    floats = {key: float(number) for key, number in numbers.items()}
    return {"statistic": statistic, "n": n, "named": named, "unit": unit, **floats}


def _correlation_rows(pair: Pair, confidence: float, extent: Extent) -> Iterator[Row]:
    x, y, n = pair.proxy, pair.reference, len(pair.reference)
    limit = np.sqrt(seed_noise.ceiling(y, pair.reference_noise))
    values = correlations(x, y)
    ends: dict[str, Any] = dict.fromkeys(values, (np.nan, np.nan))
    r_ends = intervals.pearson_interval(x, y, confidence)
    if n > 2:
        ratio = float(intervals.variance_ratio(x, y))
        ends["pearson"], ends["r2"] = r_ends, intervals.squared(*r_ends)
        ranked = RANKED if extent == Extent.WHOLE else {}
        for name, interval in ranked.items():
            ends[name] = interval(values[name], n, confidence, ratio)
        if not np.isnan(values["r2_log"]):
            ends["r2_log"] = intervals.r2_interval(np.log(x), np.log(y), confidence)
    for name, value in values.items():
        top = np.nan if name == "r2_log" else intervals.from_pearson(name, limit)
        yield _row(name, value, n, ends[name], top, unit=_sign(name, values))
    if extent == Extent.LEAST:
        return
    corrected = np.full(3, np.nan)
    if limit > 0 and n > 2:
        corrected = np.clip(np.array([values["pearson"], *r_ends]) / limit, -1, 1)
    yield _row("pearson_corrected", corrected[0], n, corrected[1:])
    pairs: dict[tuple[str, ...], tuple[Array, Array]] = {("r2", "pearson"): (x, y)}
    if not np.isnan(values["r2_log"]):
        pairs[("r2_log",)] = np.log(x), np.log(y)
    for names, pair_of in pairs.items():
        if (found := levers(*pair_of)) is None:
            continue
        others, most = found
        for name in names:
            each = others if name == "pearson" else others**2
            extremes = np.nanmin(each), np.nanmax(each)
            facts = {"named": pair.names[most], "unit": _sign(name, values)}
            yield _row(f"{name}_leave_one_out", values[name], n, extremes, **facts)


def _sign(statistic: str, values: Mapping[str, float]) -> str | None:
    """What stands beside an R² so that its sign is told: that r is below 0, where it is."""
    return NEGATIVE if statistic.startswith("r2") and values["pearson"] < 0 else None


def _decision_rows(
    pair: Pair, found: Decisions, confidence: float, extent: Extent
) -> Iterator[Row]:
    x, y, n = pair.proxy, pair.reference, len(pair.reference)
    limit = np.sqrt(seed_noise.ceiling(y, pair.reference_noise))
    ends = intervals.decision_interval(np.asarray(found.accuracy), n, confidence, found.pairs)
    top = intervals.from_pearson("decision_accuracy", limit)
    yield _row("decision_accuracy", found.accuracy, n, ends, top)
    yield _row("proxy_ties", found.tied, n)
    yield _row("reference_ties", found.reference_tied, n)
    if pair.reference_noise.known and extent > Extent.LEAST:
        noise = pair.reference_noise
        found = decisions(x, y, lambda i, j: noise.margin(i, j, confidence))
        ends = intervals.decision_interval(np.asarray(found.accuracy), n, confidence, found.pairs)
        yield _row("decision_accuracy_decided", found.accuracy, found.pairs, ends)


def _regret_rows(pair: Pair, found: Decisions, confidence: float) -> Iterator[Row]:
    x, y, noise, n = pair.proxy, pair.reference, pair.reference_noise, len(pair.reference)
    here = regrets.regret(x, y, noise, 1, confidence)
    yield _row("regret", here[0], n, here[1:])
    if n > TOP:
        value, *ends = regrets.regret(x, y, noise, TOP, confidence)
        yield _row(f"regret_top_{TOP}", value, n, ends)
    own, best = regrets.pick(x), regrets.pick(y)
    for name, chosen in (("pick", own), ("reference_pick", best)):
        half = noise.margin(chosen, chosen, confidence) / np.sqrt(2)
        ends = [y[chosen] - half, y[chosen] + half]
        yield _row(name, y[chosen], n, ends, named=pair.names[chosen])
    if n < intervals.LEAST:
        return
    yield _row("reference_sd", np.std(y, ddof=1), n)
    yield from _next_rows("regret_next", x, y, found, confidence)
    if pair.below is None:
        return
    slopes = regrets.slopes(y, pair.below, pair.below_ratio)
    if not np.isnan(slopes[own]):
        factors = regrets.as_compute(np.array(here), y[best], slopes[own])
        yield _row("regret_compute", factors[0], n, factors[1:])
    if not np.isnan(slopes).any():
        logs = np.log(y) / slopes.mean()  # in the same order
        for row in _next_rows("regret_next_compute", x, logs, found, confidence):
            for key in ("value", "low", "high"):
                row[key] = float(np.exp(min(row[key], 700.0)))
            yield row


def _next_rows(name: str, x: Array, y: Array, found: Decisions, confidence: float) -> Iterator[Row]:
    """The expected regret next time, and the smallest that is excluded with confidence."""
    n = len(y)
    _, right = intervals.decision_interval(np.asarray(found.accuracy), n, confidence, found.pairs)
    accuracies = np.array([found.accuracy, right])
    value, least = regrets.next_regret(accuracies, float(np.std(y, ddof=1)), n)
    # its upper end is a bound like the one below, on one side of two
    most = regrets.next_bound(x, y, (1 + confidence) / 2, found)
    yield _row(name, value, n, (least, most))
    yield _row(f"{name}_excluded", regrets.next_bound(x, y, confidence, found), n)


def noise_rows(whose: str, means: Array, noise: Noise, confidence: float) -> Iterator[Row]:
    """Seed noise of one scale: its runs per distribution, their sd, the ceiling they leave."""
    n = len(means)
    yield _row(f"{whose}seeds", noise.seeds, n)
    if not noise.known:
        return
    _, degrees = noise.of_means
    sd = float(np.sqrt(noise.variance))
    yield _row(f"{whose}seed_sd", sd, n, seed_noise.sd_interval(sd, degrees, confidence))
    p, ratio = noise.equality()
    yield _row(f"{whose}seed_equality", p, n, (np.nan, ratio))
    if n > 2:
        value = seed_noise.ceiling(means, noise)
        ends = seed_noise.ceiling_interval(value, noise, confidence)
        yield _row(f"{whose}noise_ceiling", value, n, ends)
        if sd > 0:
            yield _row(f"{whose}signal_to_noise", np.std(means, ddof=1) / sd, n)
