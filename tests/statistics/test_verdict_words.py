"""A hundred generated studies: every sentence is held against an oracle that reads losses alone."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pyarrow as pa
import pytest

from proxyscale.base import artifacts
from proxyscale.statistics.grid_reading import read_grid
from proxyscale.statistics.proxy_statistics import summarize
from proxyscale.statistics.verdict import verdict
from proxyscale.statistics.verdict_words import words

KINDS = ("plain", "inverted", "tied", "constant", "flat reference", "coin")
CLAIM = re.compile(
    r"^(?:On every task \((?P<every>\d+)\)|On \w+), (?P<scale>\w+) can be trusted to order"
)


def generated(seed):
    """Losses [scale][task][recipe, seed] of a study, its scales the cheapest first.

    In half of those of few recipes scales lack one, each its own: NaN.
    """
    rng = np.random.default_rng(seed)
    n, seeds = int(rng.choice([6, 10, 25])), int(rng.choice([1, 2]))
    scales = ["xs", "s", "m"][: int(rng.integers(1, 4))]
    found = {scale: {} for scale in [*scales, "ref"]}
    for number in range(int(rng.integers(1, 4))):
        kind = str(rng.choice(KINDS))
        truth = rng.standard_normal(n)
        for place, scale in enumerate([*scales, "ref"]):
            r = [0.6, 0.97, 0.999][place + 3 - len(scales)] if scale != "ref" else 1.0
            x = r * truth + np.sqrt(1 - r * r) * rng.standard_normal(n)
            if scale == "ref":
                x = np.zeros(n) if kind == "flat reference" else x
            elif kind == "inverted":
                x = -x
            elif kind == "tied":
                x = np.round(x)
            elif kind == "constant":
                x = np.zeros(n)
            elif kind == "coin":
                x = rng.standard_normal(n)
            exact = kind in ("tied", "constant", "flat reference")
            noise = 0.0 if exact else 0.02
            found[scale][f"t{number}"] = 5 + x[:, None] + noise * rng.standard_normal((n, seeds))
    if n < 25 and rng.random() < 0.5:
        for tasks in found.values():
            lacking = rng.choice(n, rng.integers(2), replace=False)
            for values in tasks.values():
                values[lacking] = np.nan
    return found


def tables(study):
    losses, runs = [], []
    for place, (scale, tasks) in enumerate(study.items()):
        first = next(iter(tasks.values()))
        for recipe in np.flatnonzero(~np.isnan(first[:, 0])).tolist():
            for seed in range(first.shape[1]):
                key = {"scale": scale, "distribution": f"d{recipe}", "draw": 0, "seed": seed}
                runs.append(key | {"role": "outside", "flops": 10.0**place})
                losses += [
                    key | {"task": task, "example": 0, "loss": float(values[recipe, seed])}
                    for task, values in tasks.items()
                ]
    kinds = zip((losses, runs), ("losses", "runs"), strict=True)
    return [artifacts.conform(pa.Table.from_pylist(rows), kind) for rows, kind in kinds]


def share_right(study, scale, task):
    """The oracle's decision accuracy: a tie of the proxy counts one half; None without any pair."""
    x, y = (study[name][task].mean(axis=1) for name in (scale, "ref"))
    both = ~np.isnan(x + y)
    x, y = x[both].tolist(), y[both].tolist()
    right = []
    for i in range(len(x)):
        for j in range(i):
            if abs(y[i] - y[j]) > 1e-12:
                tied = abs(x[i] - x[j]) <= 1e-12
                right.append(0.5 if tied else float((x[i] > x[j]) == (y[i] > y[j])))
    return sum(right) / len(right) if right else None


def shared(study, scale):
    """How many recipes a scale and the reference have."""
    return sum(~np.isnan(study[scale]["t0"][:, 0] + study["ref"]["t0"][:, 0]))


def check(told, study, level):
    """Hold the words of one verdict against the losses; the bounds are taken as they are told."""
    tasks, scales = list(study["ref"]), [s for s in study if s != "ref"]
    of_all = told.startswith(("On every", "On all", "On both", "On no", "On neither"))
    named = re.match(r"On (t\d)", told)
    mine = tasks if of_all else [named[1]]
    shares = {(s, t): share_right(study, s, t) for s in scales for t in tasks}
    trusted = CLAIM.match(told)
    if trusted:
        # a bound lies below its estimate: this and all larger scales must be above the level
        passed = scales[scales.index(trusted["scale"]) :]
        assert all((shares[s, t] or 0) > level for s in passed for t in mine)
        if of_all:
            assert int(trusted["every"]) == len(tasks) > 1
    if told.startswith(("On no task", "On neither")):
        assert len(tasks) > 2 if told.startswith("On no task") else len(tasks) == 2
    if together := re.match(r"On (both|all (\d+)) tasks together", told):
        assert int(together[2] or 2) == len(tasks)
    if "the only proxy" in told:
        assert len(scales) == 1
    if "none of these scales" in told or "any of these" in told:
        assert len(scales) > 1
    if "It is the smallest proxy" in told:
        assert trusted["scale"] == scales[0]
        assert len(scales) > 1
        return
    if "It is the only proxy" in told:
        assert trusted
        assert len(scales) == 1
        return
    # the failing scale is the next below the trusted one, or the largest
    failing = scales[scales.index(trusted["scale"]) - 1] if trusted else scales[-1]
    subject = re.search(r"\. (?:The next, )?(\w+),? (?:falls|orders|has|cannot)", told)
    assert subject[1] == failing
    where = re.search(r"hardest on (t\d)|on (t\d) alone", told)
    task = mine[0] if len(mine) == 1 else where[1] or where[2]
    share = shares[failing, task]
    assert ("nothing to order" in told) == (share is None)
    n = shared(study, failing)
    # no other task that it fails is harder: of equal recipes the bound goes with the share
    assert (share or 0) <= min(shares[failing, t] or 0 for t in mine)
    if share is not None:
        there = ~np.isnan(study[failing][task][:, 0] + study["ref"][task][:, 0])
        constant = np.ptp(study[failing][task].mean(axis=1)[there]) <= 1e-12
        assert ("orders nothing" in told) == bool(constant)
        assert ("worse than a coin" in told) == (share < 0.5 and not constant)
        if not constant:
            of = re.search(r"orders (\d+%) of pairs(?: of (\d+) distributions)? right", told)
            assert of[1] == f"{share:.0%}"
            assert int(of[2] or n) == n
        proved = int(re.search(r"proves only (\d+)%", told)[1])
        assert proved <= 100 * level + 0.5
        assert proved <= 100 * share + 0.5
    short = [t for t in mine if (shares[failing, t] or 0) <= level]
    # a remedy only if every failing estimate itself is above the level; it names no lesser number
    assert not (short and " would do if " in told)
    if share is not None and short and not any(shares[failing, t] is None for t in mine):
        assert "The estimate itself" in told
    for count, now in re.findall(r"about (\d+) distributions instead of (\d+)", told):
        assert int(count) > int(now) == n
    for count, now in re.findall(r"about (\d+) seeds instead of (\d+)", told):
        assert int(count) > int(now) == study["ref"][tasks[0]].shape[1]
    assert "a rare kind" in told or "a kind that is rare" in told


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_the_sentences_of_a_hundred_studies_are_true(first):
    for seed in range(first, first + 20):
        study = generated(seed)
        level = (0.6, 0.8, 0.9)[seed % 3]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            statistics = summarize(read_grid(*tables(study)), reference="ref", groups={})
            found = verdict(statistics, level)
        told = [words(one) for one in found if one.task != "objective"]
        assert len(told) == (1 if len(study["ref"]) == 1 else 1 + len(study["ref"]))
        for sentences in told:
            check(sentences, study, level)
