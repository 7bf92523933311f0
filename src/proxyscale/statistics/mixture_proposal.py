"""From tables to a proposal: its promise in words and numbers, and whether it held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import special

from proxyscale.base.errors import UserError
from proxyscale.statistics.grid import Array
from proxyscale.statistics.mixture_model import fit_all, predicted_losses
from proxyscale.statistics.mixture_scales import LINE
from proxyscale.statistics.mixture_search import Caps, Prediction
from proxyscale.statistics.objective import STANDARDIZED, WORST, Objective, in_sds, objective_of
from proxyscale.statistics.proposal import Proposal, Trained, propose, rank_agreement
from proxyscale.statistics.recipe_losses import RecipeLosses, recipe_losses, shares_of

NAME = "proposal"  # the distribution that it becomes
FEWEST, PER_SOURCE = 16, 2  # mixtures, below which it warns
NO_TRANSFER = (
    "the worst of several tasks did not transfer from 1M to 1B parameters with any regression that "
    "was tried (RegMix): train the proposal at the target before you rely on it"
)


def caps_of(sources: Sequence[str], spec: Mapping[str, Any]) -> Caps:
    """Least and largest shares.

    `spec`: `available` tokens by source, `tokens` to train on, `passes` allowed, `floors`, `caps`
    and `fixed` shares by source. UserError for an unknown source, and where no mixture fits.
    """
    low, high = np.zeros(len(sources)), np.ones(len(sources))
    for key in ("available", "floors", "caps", "fixed"):
        for name, value in spec.get(key, {}).items():
            if name not in sources:
                where = f"propose.{key}"
                raise UserError("no such source", where=where, value=name, allowed=sources)
            place = list(sources).index(name)
            if key == "available":
                if not spec.get("tokens"):
                    raise UserError("say how many `tokens` are to be trained on", where="propose")
                value = min(value * spec.get("passes", 1.0) / spec["tokens"], 1.0)
            if key in ("floors", "fixed"):
                low[place] = max(low[place], value)
            if key in ("available", "caps", "fixed"):
                high[place] = min(high[place], value)
    return Caps(low, high, sources)


def proposal_of(
    losses: pa.Table,
    runs: pa.Table,
    sources: Sequence[str],
    shares: Mapping[str, list[float]],
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    """The proposal as a record that JSON can hold.

    `spec`: `objective`, the `target` scale that is proposed for, and what `caps_of` reads. Mixtures
    are the runs but those of the proposal itself, of which it is told whether the promise held.
    """
    known = recipe_losses(losses, runs, leave_out=[NAME])
    base, target = _scales(known, spec["target"])
    there = known.counts[[base, target]].sum(axis=0) > 0
    recipes = [name for name, one in zip(known.recipes, there, strict=True) if one]
    weights, means = shares_of(recipes, shares), known.means[:, there]
    trained = Trained(weights, means[base], None if base == target else means[target])
    units = means[base] if base == target else means[target]
    objective = objective_of(spec["objective"], known.tasks, units)
    caps = caps_of(sources, spec)
    found = propose(trained, objective, caps, seed=spec.get("seed", 0))
    record = {
        "scale": known.scales[target],
        "trained_at": known.scales[base],
        "mixtures": len(recipes),
        "unit": f"sd over recipes at {known.scales[target]}"
        if in_sds(spec["objective"]) and len(known.tasks) > 1
        else "loss",
        **_numbers(found, sources, known.tasks, recipes),
        "best_weights": dict(zip(sources, weights[found.best_trained].tolist(), strict=True)),
        "low_shares": dict(zip(sources, caps.low.tolist(), strict=True)),
        "high_shares": dict(zip(sources, caps.high.tolist(), strict=True)),
        "warnings": [
            *_warnings(found, len(recipes), len(sources), spec["objective"]),
            *[known.incomplete] * bool(known.incomplete),
        ],
        "larger": _larger(trained, known, units, found, objective),
        "left_out": [
            {"recipe": name, "foretold": float(a), "measured": float(b)}
            for name, a, b in zip(
                np.array(recipes)[trained.known], found.foretold, found.measured, strict=True
            )
        ],
    }
    every = recipe_losses(losses, runs)
    return record | {"promise": _promise(every, objective, record, found.predict, shares)}


def _scales(known: RecipeLosses, wanted: str) -> tuple[int, int]:
    """The scale that mixtures are fitted at, and the one that is foretold.

    The one with most mixtures, of these the wanted one, else the dearest; above it the wanted one,
    if it has enough for a line and fewer than all. UserError where there are too few to fit
    anything.
    """
    trained = (known.counts > 0).sum(axis=1)
    base = int(np.flatnonzero(trained == trained.max())[-1])
    if wanted in known.scales and trained[known.scales.index(wanted)] == trained.max():
        base = known.scales.index(wanted)
    if trained[base] < 6:
        hint = "train more mixtures: twice as many as there are sources"
        raise UserError(f"{trained[base]} mixtures are too few", where="propose", hint=hint)
    target = known.scales.index(wanted) if wanted in known.scales else base
    if trained[target] < LINE or target < base:
        return base, base
    return base, target


def _numbers(
    found: Proposal, sources: Sequence[str], tasks: Sequence[str], recipes: Sequence[str]
) -> dict[str, Any]:
    names = ("predicted", "low", "high", "gain", "sure_gain", "best_predicted", "optimism")
    return {
        "weights": dict(zip(sources, found.weights.tolist(), strict=True)),
        "losses": dict(zip(tasks, found.losses.tolist(), strict=True)),
        "best_trained": recipes[found.best_trained],
        **{
            name: getattr(found, name) for name in (*names, "distance", "spearman", "half_spearman")
        },
    }


def _warnings(found: Proposal, mixtures: int, sources: int, objective: Objective) -> list[str]:
    told, least = [], max(FEWEST, PER_SOURCE * sources)
    if mixtures < least:
        told.append(
            f"{mixtures} mixtures of {sources} sources are fewer than {least}: what is foretold of "
            f"mixtures left out goes with their losses at Spearman {found.spearman:.2f}, from half "
            f"as many at {found.half_spearman:.2f}"
        )
    if objective == WORST:
        told.append(NO_TRANSFER)
    if not found.allowed:
        told.append("no trained mixture is within the limits: the gain is over one that is not")
    if found.sure_gain <= 0:
        told.append("the interval holds no gain at all: train it before you rely on it")
    return told


def _larger(
    trained: Trained, known: RecipeLosses, units: Array, found: Proposal, objective: Any
) -> dict[str, Any] | None:
    """What larger runs on top are worth, and which objective transfers to them; None without.

    Spearman of what is foretold with the larger scale's objective: of runs left out with the others
    on top, and by the smaller scale alone.
    """
    if trained.larger is None:
        return None
    rows, small = trained.known, np.isfinite(trained.losses).all(axis=1)
    below = fit_all(trained.weights[small], trained.losses[small])
    foretold = predicted_losses(below, trained.weights[rows])
    actual = trained.larger[rows]
    mean = {"weights": dict.fromkeys(known.tasks, 1.0)}
    kinds: dict[str, Any] = {STANDARDIZED: STANDARDIZED, WORST: WORST, "mean of losses": mean}
    pairs = {
        name: (
            objective_of(kind, known.tasks, trained.losses)(foretold),
            objective_of(kind, known.tasks, units)(actual),
        )
        for name, kind in kinds.items()
    }
    return {
        "runs": int(rows.sum()),
        "with": found.spearman,
        "without": rank_agreement(objective(foretold), objective(actual)),
        "transfers": {name: rank_agreement(*pair) for name, pair in pairs.items()},
    }


def _promise(
    every: RecipeLosses,
    objective: Any,
    record: Mapping[str, Any],
    predict: Prediction,
    shares: Mapping[str, list[float]],
) -> list[dict[str, Any]]:
    """Of each scale that trained the proposal: its objective, its rivals', and what was gained."""
    if NAME not in every.recipes:
        return []
    own, champion = every.recipes.index(NAME), every.recipes.index(record["best_trained"])
    found = []
    for scale in np.flatnonzero(every.counts[:, own]):
        there = np.flatnonzero(every.counts[scale])
        values = objective(every.means[scale, there])
        row = {
            "scale": every.scales[scale],
            "value": float(values[there == own][0]),
            "rank": int((values < values[there == own][0]).sum()) + 1,
            "of": len(there),
            "recipes": [
                {
                    "recipe": every.recipes[i],
                    "measured": float(value),
                    "runs": objective(every.runs_of(int(scale), int(i))).tolist(),
                    "foretold": _foretold(every.recipes[i], predict, shares),
                }
                for i, value in zip(there, values, strict=True)
            ],
            "gain": None,
            "gain_low": None,
            "gain_high": None,
        }
        if row["scale"] == record["scale"]:
            row["held"] = bool(record["low"] <= row["value"] <= record["high"])
        if every.counts[scale, champion]:
            row["gain"], row["gain_low"], row["gain_high"] = _gained(
                every, objective, int(scale), champion, own
            )
        found.append(row)
    return found


def _foretold(recipe: str, predict: Prediction, shares: Mapping[str, list[float]]) -> float | None:
    """The objective that is expected of a recipe; None of one whose shares are not known."""
    return float(predict(shares_of([recipe], shares))[0]) if recipe in shares else None


def _gained(
    every: RecipeLosses, objective: Any, scale: int, champion: int, own: int
) -> tuple[float, float | None, float | None]:
    """What the proposal gains over the best trained mixture; Welch's 90 % interval over seeds."""
    a, b = (objective(every.runs_of(scale, i)) for i in (champion, own))
    gain = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return gain, None, None
    shares = np.array([np.var(v, ddof=1) / len(v) for v in (a, b)])
    if not shares.sum():
        return gain, gain, gain
    degrees = shares.sum() ** 2 / (shares**2 / (np.array([len(a), len(b)]) - 1)).sum()
    half = float(special.stdtrit(degrees, 0.95) * np.sqrt(shares.sum()))
    return gain, gain - half, gain + half


def fragment(record: Mapping[str, Any], scales: Sequence[str], repeat: bool) -> dict[str, Any]:
    """The config that trains the proposal, and the best trained mixture, at these scales."""
    weights = {name: round(share, 6) for name, share in record["weights"].items() if share > 5e-7}
    entry: dict[str, Any] = {"method": "mixture", "weights": weights, "role": "selection"}
    if repeat:
        entry["repeat"] = True
    return {
        "distributions": {NAME: entry},
        "extra": {name: list(scales) for name in (NAME, record["best_trained"])},
    }
