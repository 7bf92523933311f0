"""What a study will do and what that will cost, told before anything is spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from proxyscale import cost, tables
from proxyscale.progress import aligned, duration, quantity
from proxyscale.study import Run, Scoring, Study

LOSS_BYTES = 14  # a test example's row in a run's losses, compressed, as measured


@dataclass(frozen=True)
class ScalePlan:
    """One scale's share of a study."""

    scale: str
    parameters: int
    tokens: int  # of one run
    flops: float  # of one run, 6·P·D
    ratio: float  # reference compute / own
    runs: int
    done: int
    seconds: float | None  # of one run, measured or estimated

    @property
    def left(self) -> float | None:
        """CPU seconds of the runs that are still to do."""
        return None if self.seconds is None else self.seconds * (self.runs - self.done)


def is_done(study: Study, run: Run) -> bool:
    """Whether a run's manifest stands; whether it is stale only Snakemake can tell."""
    return Path(f"{study.paths.run(*run)}/manifest.json").exists()


def measured_seconds(study: Study, scale: str) -> float | None:
    """Mean seconds of a scale's finished runs; None if there are none."""
    found = []
    for run in study.trained:
        if run.scale == scale and is_done(study, run):
            curve = tables.read(f"{study.paths.run(*run)}/curve.parquet", "curve", ["seconds"])
            found.append(pc.max(curve["seconds"]).as_py())
    return sum(found) / len(found) if found else None


def scale_plans(study: Study, calibrate: Callable[[str], float]) -> list[ScalePlan]:
    """Every scale, cheapest first. `calibrate` gives a run's seconds where none has finished."""
    reference = study.scales[study.config.reference]
    plans = []
    for name, scale in study.scales.items():
        runs = [run for run in study.trained if run.scale == name]
        seconds = measured_seconds(study, name)
        plans.append(
            ScalePlan(
                scale=name,
                parameters=scale.parameters,
                tokens=scale.tokens,
                flops=scale.flops,
                ratio=reference.flops / scale.flops,
                runs=len(runs),
                done=sum(is_done(study, run) for run in runs),
                seconds=calibrate(name) if seconds is None else seconds,
            )
        )
    return plans


def disk_bytes(study: Study) -> dict[str, int]:
    """Upper bounds of what a study leaves on disk, by artifact, where the config tells them."""
    models = sum(4 * study.scales[run.scale].parameters for run in study.trained)
    examples = sum(task.examples for task in study.config.tasks.values())
    width = 2 if next(iter(study.scales.values())).model["vocabulary"] <= 65536 else 4
    text = [source.max_bytes for source in study.config.sources.values()]
    found = {"models": models, "losses": 2 * LOSS_BYTES * examples * len(study.runs)}
    if study.scoring_runs:
        found["features"] = sum(_features_bytes(study, scoring) for scoring in study.scorings)
    if all(text):
        # Text is kept compressed; a token is at least one byte of it.
        found["corpora and pool"] = sum(size or 0 for size in text) * (1 + width)
    return found


def _features_bytes(study: Study, scoring: Scoring) -> int:
    """float32 features of the candidates by every model."""
    rows = _candidates(study, scoring)
    models = len(study.models(scoring.scale, scoring.distribution))
    return 4 * rows * study.config.attribution.dimension * models


def attribution_flops(study: Study) -> float:
    """FLOPs of all scores that distributions are selected by, by the formula of the paper's A.3."""
    total = 0.0
    for scoring in study.scorings:
        scale, models = study.scales[scoring.scale], study.models(*scoring[:2])
        terms = (scale.length, study.config.attribution.dimension, _candidates(study, scoring))
        targets = study.config.tasks[scoring.task].target_examples
        total += len(models) * cost.attribution_flops(scale.parameters, *terms, targets)
    return total


def _candidates(study: Study, scoring: Scoring) -> int:
    """Pool examples that are scored; where that is all of them, one a `length` bytes of text."""
    if scoring.candidates != "all":
        return int(scoring.candidates)
    text = sum(source.max_bytes or 0 for source in study.config.sources.values())
    return text // study.config.pool.length


def told(study: Study, plans: list[ScalePlan], cores: int) -> str:
    """The plan as a table for people."""
    head = (
        "scale",
        "parameters",
        "tokens",
        "FLOPs/run",
        "ref/own",
        "runs",
        "done",
        "s/run",
        "to do",
    )
    rows = [head]
    for plan in plans:
        rows.append(
            (
                plan.scale,
                f"{plan.parameters:,}",
                quantity(plan.tokens),
                f"{plan.flops:.2e}",
                f"{plan.ratio:.3g}",
                str(plan.runs),
                str(plan.done),
                "?" if plan.seconds is None else f"{plan.seconds:.1f}",
                "?" if plan.left is None else duration(plan.left),
            )
        )
    lines = aligned(rows)
    total = sum(plan.flops * plan.runs for plan in plans)
    left = sum(plan.left or 0.0 for plan in plans)
    disk = disk_bytes(study)
    lines += [
        "",
        f"{len(study.grid)} distributions, {len(study.config.tasks)} tasks, "
        f"{len(study.trained)} runs, {total:.2e} FLOPs of training (6·P·D)",
        f"{attribution_flops(study):.2e} FLOPs of attribution (paper, A.3), "
        f"{len(study.scorings)} sets of scores",
        f"disk, at most: {_disk(disk)}",
        f"to do: {duration(left)} of training on one core, {duration(left / cores)} on {cores}",
    ]
    return "\n".join(lines)


def _disk(disk: Mapping[str, int]) -> str:
    parts = ", ".join(f"{name} {quantity(size)}B" for name, size in disk.items())
    return f"{quantity(sum(disk.values()))}B ({parts})"
