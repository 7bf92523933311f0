"""Proposals and next steps for tables that somebody has, or for the folder of a finished study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proxyscale.base import artifacts
from proxyscale.base.errors import UserError
from proxyscale.base.paths import Paths
from proxyscale.figures import registered  # noqa: F401
from proxyscale.figures.draw import draw
from proxyscale.reporting.compare import config_of
from proxyscale.statistics.decision_files import write_next, write_proposal
from proxyscale.statistics.recipe_losses import recipe_losses
from proxyscale.study.config_decisions import Forecast, Propose
from proxyscale.study.own_runs_study import OwnRunsStudy
from proxyscale.study.validation import validated
from proxyscale.tables.runs import read_outside_runs
from proxyscale.tables.sizes import amount
from proxyscale.tables.weights import Weights, read_weights

Tables = tuple[pa.Table, pa.Table, Weights | None, str]


def tables_of(given: Sequence[str], said: Mapping[str, Any]) -> Tables:
    """Losses, runs, weights if there are any, and the scale that is decided for.

    `given`: the results folder of a study, or tables as `compare` takes them with these options.
    The scale is the named reference, else, of a folder, the largest.
    """
    if len(given) == 1 and Path(given[0]).is_dir() and Path(Paths(given[0]).losses).exists():
        paths = Paths(given[0])
        losses = artifacts.read(paths.losses, "losses")
        runs = artifacts.read(paths.runs, "runs")
        mixed = said["weights"] or paths.mixtures
        weights = (
            read_weights(mixed, "*", said["recipe"], any_name=True)
            if Path(mixed).exists()
            else None
        )
        return losses, runs, weights, said["reference"] or recipe_losses(losses, runs).scales[-1]
    study = OwnRunsStudy.load(config_of(given, said))
    read = read_outside_runs(study.table_files, study.config.runs.model_dump())
    named = study.words("statistics").get("weights", {})
    found = read_weights(study.weights, **named) if study.weights else None
    return read.losses, read.runs, found, study.config.reference


def propose(given: Sequence[str], said: Mapping[str, Any]) -> list[str]:
    """Write the proposal to the folder `results`; what is said of it."""
    losses, runs, weights, reference = tables_of(given, said)
    if weights is None:
        hint = "--weights: a table with a row per recipe and a column per source"
        raise UserError("a proposal needs the mixtures' weights", where="--weights", hint=hint)
    keys = ("available", "floors", "caps", "fixed")
    limits: dict[str, Any] = {key: _numbers(said[key], key) for key in keys}
    limits |= {key: said[key] for key in ("tokens_to_train", "passes") if said[key]}
    limits["tokens"] = limits.pop("tokens_to_train", None)
    section = validated(Propose, limits)
    spec = {
        "objective": objective_of(said["objective"]),
        "target": reference,
        "limits": section.model_dump(exclude_none=True, exclude={"scale"}),
    }
    paths = Paths(str(_folder(said)))
    told = write_proposal(Path(paths.proposal), losses, runs, *weights, spec)
    record = artifacts.read_json(Path(f"{paths.proposal}.json"))
    draw("proposed_mixture", paths.figure("proposed_mixture"), style={}, proposal=record)
    return told


def next_steps(given: Sequence[str], said: Mapping[str, Any]) -> list[str]:
    """Write the plan to the folder `results`; what is said of it."""
    losses, runs, weights, reference = tables_of(given, said)
    beyond = None
    if said["forecast"]:
        parameters, parted, tokens = said["forecast"].partition(":")
        if not parted:
            hint = "--forecast 7B:140B, parameters and tokens"
            raise UserError(f"is {said['forecast']!r}", where="--forecast", hint=hint)
        beyond = validated(Forecast, {"parameters": parameters, "tokens": tokens}).model_dump()
    recipes = len(np.unique(runs["distribution"].to_numpy(zero_copy_only=False)))
    spec = {
        "objective": objective_of(said["objective"]),
        "target": reference,
        "costs": {},
        "seeds": {},
        "more": recipes if weights else 0,
        "forecast": beyond,
        "largest": said["largest"],
    }
    return write_next(_folder(said) / "next", losses, runs, spec)


def objective_of(text: str | None) -> Any:
    """`standardized`, `worst`, or `task=weight,task=weight`, as the statistics read it."""
    if not text or "=" not in text:
        return text or "standardized"
    return {"weights": _numbers(text.split(","), "objective")}


def _numbers(entries: Sequence[str], key: str) -> dict[str, float]:
    """`wiki=0.2` or `wiki=3B` by name."""
    found = {}
    for entry in entries:
        name, _, number = entry.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = amount(number)
        if not name or np.isnan(found[name]):
            raise UserError(f"is {entry!r}", where=f"--{key}", hint=f"--{key} NAME=NUMBER")
    return found


def _folder(said: Mapping[str, Any]) -> Path:
    return Path(said["results"] or "decided")
