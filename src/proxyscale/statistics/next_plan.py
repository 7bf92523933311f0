"""From tables to what to train next and what to expect beyond the largest scale, as a record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base.cost import training_flops
from proxyscale.base.errors import UserError
from proxyscale.base.progress import quantity
from proxyscale.statistics import forecast
from proxyscale.statistics.grid import Array
from proxyscale.statistics.mixture_proposal import NAME as PROPOSAL
from proxyscale.statistics.next_steps import Step, plan
from proxyscale.statistics.objective import NAME, in_sds
from proxyscale.statistics.recipe_losses import RecipeLosses, recipe_losses

KINDS = {
    "smallest": "all recipes at the smallest scale",
    "recipes": "more recipes at the smallest scale",
    "middle": "the best third at a middle scale",
    "target": "the best at the target",
    "seeds": "one more seed of the best",
    "stop": "nothing more",
}
SMALL_GAIN = (
    "thirds through the proxies, a small gain where the target is out of reach (0 to 50 % less "
    "regret where it was tried)"
)


def next_of(losses: pa.Table, runs: pa.Table, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Steps, the chosen one and the forecast, as a record that JSON can hold.

    `spec`: `objective`; `target`, the scale that is decided for; `costs`, FLOPs of one run at
    scales that can be trained at, by name; `more`, recipes that could be added; perhaps
    `forecast`, parameters and tokens of a model that is larger than any here, and `largest`, the
    largest scale that can still be trained at. UserError where the compute of a scale is not known.
    """
    known = _with_untrained(recipe_losses(losses, runs, leave_out=[PROPOSAL]), spec["costs"])
    if not np.isfinite(known.compute).all():
        unknown = known.scales[int(np.flatnonzero(np.isnan(known.compute))[0])]
        hint = "give parameters and tokens"
        raise UserError(f"no compute is known for {unknown}", where="next", hint=hint)
    target = _position(known.scales, spec["target"], "reference")
    reach = _position(known.scales, spec.get("largest") or spec["target"], "largest")
    # scales above the target have no say in what is trained for it
    ladder = known.ladder(spec["objective"], target)
    below = dataclasses.replace(
        ladder,
        scales=ladder.scales[: target + 1],
        compute=ladder.compute[: target + 1],
        values=ladder.values[: target + 1],
        counts=ladder.counts[: target + 1],
        noise=ladder.noise[: target + 1],
    )
    found = plan(below, more=spec.get("more", 0), reach=reach)
    return {
        "target": spec["target"],
        "steps": [_row(step) for step in found.steps],
        "chosen": _row(found.chosen) | {"recipes": list(found.chosen.recipes)},
        "out_of_reach": reach < target,
        "choice": found.choice,
        "by_rule": found.by_rule,
        "sd": found.sd,
        "incomplete": known.incomplete,
        "noise_known": bool(np.isfinite(ladder.noise[target])),
        "forecast": _forecast(known, spec) if spec.get("forecast") else None,
    }


def _position(scales: list[str], name: str, key: str) -> int:
    if name not in scales:
        raise UserError("no such scale", where=key, value=name, allowed=scales)
    return scales.index(name)


def _with_untrained(known: RecipeLosses, costs: Mapping[str, float]) -> RecipeLosses:
    """With scales that nothing was trained at yet, in the order of compute."""
    more = {name: cost for name, cost in costs.items() if name not in known.scales}
    names = [*known.scales, *more]
    compute = np.array([*known.compute, *more.values()])
    compute = np.array([costs.get(n, c) for n, c in zip(names, compute, strict=True)])
    order = np.argsort(compute, kind="stable")
    place = np.argsort(order)
    return dataclasses.replace(
        known, scales=[names[i] for i in order], compute=compute[order], scale=place[known.scale]
    )


def _row(step: Step) -> dict[str, Any]:
    number = {"regret": step.regret, "best": step.best}
    return {
        "step": step.kind,
        "scale": step.scale,
        "runs": step.runs,
        "flops": step.flops,
        "gpu_hours": step.gpu_hours,
        **{key: None if np.isnan(value) else value for key, value in number.items()},
    }


def _forecast(known: RecipeLosses, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Ranges of every task and the objective, or why there are none."""
    size = spec["forecast"]
    target = training_flops(size["parameters"], size["tokens"])
    recipes_at = (known.counts > 0).sum(axis=1)
    # a scale that trained a chosen few says nothing of the others
    full = recipes_at >= max(recipes_at.max() / 2, 1)
    trained = np.flatnonzero(full & (known.compute < target))
    whole = (known.counts[trained] > 0).all(axis=0)
    compute = known.compute[trained]
    reason = forecast.why_not(compute, int(whole.sum()), target)
    told = {**size, "flops": target, "why_not": reason}
    if reason:
        return told
    names = [known.scales[i] for i in trained]
    values = {t: known.means[trained][:, whole, i] for i, t in enumerate(known.tasks)}
    if len(known.tasks) > 1:
        ladder = known.ladder(spec["objective"], int(trained[-1]))
        values[NAME] = ladder.values[trained][:, whole]
    recipes = [known.recipes[i] for i in np.flatnonzero(whole)]
    # of each scale's own standard deviations there is no law over scales
    laws = {t: v for t, v in values.items() if t != NAME or not in_sds(spec["objective"])}
    return told | {
        "ranges": [
            {"task": task, "scale": name, **dataclasses.asdict(found)}
            for task, losses in values.items()
            for name, found in zip(names, forecast.ranges(losses, compute, target), strict=True)
        ],
        "losses": {t: _expected(v, compute, target, recipes) for t, v in laws.items()},
    }


def _expected(
    losses: Array, compute: Array, target: float, recipes: list[str]
) -> dict[str, list[float]] | None:
    """Recipe → expected loss and its interval; None where they cannot be told apart."""
    found = forecast.expected_losses(losses, compute, target)
    if found is None:
        return None
    rows = np.stack([found.losses, found.low, found.high], axis=1).tolist()
    return dict(zip(recipes, rows, strict=True))


def fragment(
    record: Mapping[str, Any], seeds: int, families: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """The config that trains the chosen step; empty where nothing is to be trained.

    `seeds`: those that the scale has now; `families`: names that stand for so many mixtures, which
    are doubled where more recipes are wanted.
    """
    step = record["chosen"]
    if step["step"] == "recipes":
        more = {name: {"count": 2 * count} for name, count in (families or {}).items()}
        return {"distributions": more} if more else {}
    if step["step"] == "stop":
        return {}
    found: dict[str, Any] = {"extra": {name: [step["scale"]] for name in step["recipes"]}}
    if step["step"] == "seeds":
        found["scales"] = {step["scale"]: {"seeds": seeds + 1}}
    return found


def told(record: Mapping[str, Any]) -> list[str]:
    """The next step in two sentences, and the forecast or why there is none."""
    step, stop = record["chosen"], record["steps"][0]
    now = f"To be chosen now: {record['choice']}"
    if stop["regret"] is not None:
        now += (
            f", expected {max(stop['regret'], 0.0):.2g} sd over recipes above the best at "
            f"{record['target']} ({max(stop['regret'], 0.0) * record['sd']:.3g} in its unit), the "
            f"best itself with probability {stop['best']:.2f}"
        )
    if not record["noise_known"]:
        now += " (as single runs tell: their seed noise is not known)"
    lines = [f"{now}. {_advice(record, step)}"]
    if record["incomplete"]:
        lines.append(f"Note: {record['incomplete']}.")
    return [*lines, *(_foretold(record["forecast"]) if record["forecast"] else [])]


def _foretold(found: Mapping[str, Any]) -> list[str]:
    """The forecast of the largest scale, and which losses are foretold; or why there is none."""
    if found["why_not"]:
        return [f"No forecast: {found['why_not']}."]
    row, size = found["ranges"][-1], f"{quantity(found['parameters'])} parameters"
    lines = [forecast.told(f"{row['scale']} ({row['task']})", size, row["expected"], row["least"])]
    known = ", ".join(task for task, rows in found["losses"].items() if rows)
    if known:
        lines.append(f"Losses expected of each recipe there, with 90 % intervals: {known}.")
    if unknown := ", ".join(task for task, rows in found["losses"].items() if not rows):
        lines.append(
            f"No losses are foretold of {unknown}: power laws through three scales or more are "
            f"needed that err by less than recipes differ."
        )
    return lines


def _advice(record: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    if step["step"] == "stop":
        return "No further run is worth its cost."
    cost = f"{step['runs']} runs, {step['flops']:.2g} FLOPs, {step['gpu_hours']:.2g} GPU hours"
    what = f"Next: {KINDS[step['step']]}, {step['scale']} ({cost})"
    further = "the three best at the target"
    if record["out_of_reach"]:
        further = SMALL_GAIN
    if step["regret"] is None:
        return (
            f"{what}, as the rule has it where no two scales share enough recipes: all at the "
            f"smallest scale, then {further}."
        )
    then = f"{max(step['regret'], 0.0):.2f} sd above the best, held with {step['best']:.2f}"
    return f"{what}: then {then}{f'; {SMALL_GAIN}' * record['out_of_reach']}."
