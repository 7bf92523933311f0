"""What a study will do and what that will cost, told before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Protocol

from proxyscale.base import cost
from proxyscale.base.progress import aligned, duration, quantity
from proxyscale.selection.dsir import KNOWN
from proxyscale.selection.select import FITTED
from proxyscale.study import demands
from proxyscale.study.hardware import DEVICES, SUSTAINED
from proxyscale.study.input_checks import text_bytes
from proxyscale.study.job_graph import Job
from proxyscale.study.job_times import PLANNED, SCHEDULED, Estimate, scanned, shared
from proxyscale.study.language_runs import LanguageRuns, Scoring, candidates_named

LOSS_BYTES = 20  # a test example's row in a run's losses, compressed, as measured
# Memory of a job: bytes a row of the shard that is packed, bytes a candidate that is selected from,
# and what both take besides, for libraries and the text that is held at a time.
PACKED, SELECTED, HELD = 120, 150, 500 << 20
# Where texts are compared: bytes a token of those that a classifier is fitted on, and of every
# process those of a pair of words whose bucket it remembers and of the texts that it holds.
ON_TOKENS, PAIR, TEXTS = 40, 180, 200e6
LARGE = "h100"  # the device whose hours large studies are told in
MANY = 1_000_000  # candidates whose features are many


class Timed(Protocol):
    """Jobs, and how long they take."""

    jobs: list[Job]

    @property
    def measured(self) -> Mapping[Job, float]:
        """Seconds of the jobs that have finished."""

    def seconds(self, job: Job) -> float | None:
        """One job's seconds; None where that cannot be told."""

    def clock(self, job: Job, cores: int) -> float | None:
        """The same on the clock of a machine with so many cores, which one job alone shares."""


@dataclass(frozen=True)
class ScalePlan:
    """One scale's share of a study's training."""

    scale: str
    parameters: int
    tokens: int  # of one run
    flops: float  # of one run, 6·P·D
    ratio: float  # reference compute / own
    runs: int
    done: int
    seconds: float | None  # of one run; None where that cannot be told


def scale_plans(study: LanguageRuns, estimate: Estimate) -> list[ScalePlan]:
    """Every scale, cheapest first."""
    reference = study.scales[study.config.reference]
    plans = []
    for name, scale in study.scales.items():
        jobs = [j for j in estimate.jobs if j.rule == "train" and estimate.subject(j) == name]
        seconds = [estimate.seconds(job) for job in jobs]
        known = [value for value in seconds if value is not None]
        plans.append(
            ScalePlan(
                scale=name,
                parameters=scale.parameters,
                tokens=scale.tokens,
                flops=scale.flops,
                ratio=reference.flops / scale.flops,
                runs=len(jobs),
                done=sum(not job.pending for job in jobs),
                seconds=mean(known) if known else None,
            )
        )
    return plans


def disk_bytes(study: LanguageRuns, examples: int | None) -> dict[str, int]:
    """Upper bounds of what a study leaves on disk, by artifact, where the config tells them.

    `examples`: of the pool. Text is kept compressed, which is at most as long as it is; a row of
    the index takes 24 bytes; features are float32.
    """
    config = study.config
    kept = 1 + len(config.checkpoints)
    models = kept * sum(4 * study.scales[run.scale].parameters for run in study.trained)
    tested = sum(task.examples for task in config.tasks.values())
    found = {"models": models, "losses": 2 * LOSS_BYTES * kept * tested * len(study.runs)}
    sizes = [text_bytes(study, source) for source in study.sources]
    if None not in sizes:
        found["text"] = sum(size or 0 for size in sizes)
    if examples is not None:
        width = 2 if next(iter(study.scales.values())).model["vocabulary"] < 65536 else 4
        found["pool"] = examples * (config.pool.length * width + 24)
    if study.scorings:
        kinds = {(s.scale, s.distribution, s.candidates): s for s in study.scorings}
        features = [_features_bytes(study, scoring, examples) for scoring in kinds.values()]
        found["features"] = sum(features)
    return found


def _features_bytes(study: LanguageRuns, scoring: Scoring, examples: int | None) -> int:
    """Features of the candidates and of all target examples by every model."""
    targets = sum(study.config.tasks[task].target_examples for task in study.scored_tasks)
    models = len(study.models(scoring.scale, scoring.distribution))
    rows = _candidates(scoring, examples) + targets
    own = study.config.attribution
    return cost.row_bytes(own.dimension, own.keep) * rows * models


def select_memory(study: LanguageRuns, distribution: str, pool: int) -> float:
    """Bytes of memory of the job of a distribution, besides libraries, with so many examples in the
    pool: ids and scores of its candidates; words of the texts that are compared, in every process.
    """
    entry, defaults = study.config.distributions[distribution], study.config.selection
    rows = entry.candidates or defaults.candidates or pool
    size = (entry.size or defaults.size) * study.draws(distribution)
    tokens, processes = scanned(study, distribution, pool) / 2, shared(study, distribution)
    held = SELECTED * (rows + size)
    if not tokens:
        return float(held)
    fitted = ON_TOKENS * min(tokens, FITTED * study.config.pool.length)
    return held + fitted + processes * (TEXTS + PAIR * min(KNOWN, tokens / processes))


def attribution_flops(study: LanguageRuns, examples: int | None) -> float:
    """FLOPs of all scores that distributions are selected by, by the formula of the paper's A.3."""
    total, targets = 0.0, dict[Scoring, int]()
    for scoring in study.scorings:  # features of the candidates serve all tasks
        of_any = scoring._replace(task="")
        more = study.config.tasks[scoring.task].target_examples
        targets[of_any] = targets.get(of_any, 0) + more
    for scoring, count in targets.items():
        scale, models = study.scales[scoring.scale], study.models(*scoring[:2])
        dimension = study.config.attribution.dimension
        terms = (scale.length, dimension, _candidates(scoring, examples))
        total += len(models) * cost.attribution_flops(scale.parameters, *terms, count)
    return total


def _candidates(scoring: Scoring, examples: int | None) -> int:
    """Pool examples that are scored, at most, of so many in the pool."""
    return candidates_named(scoring.candidates)[0] or examples or 0


def told(study: LanguageRuns, estimate: Estimate, cores: int) -> str:
    """The plan for people: scales, then all other jobs, then the sums."""
    return told_with(study, estimate, aligned(rule_rows(estimate)), [time_told(estimate, cores)])


def told_with(
    study: LanguageRuns, estimate: Estimate, rows: Sequence[str], sums: Sequence[str]
) -> str:
    """The same with rows and sums of its jobs as somebody else tells them.

    What is about the study as a whole is left out where a part of it is asked for.
    """
    plans = [plan for plan in scale_plans(study, estimate) if plan.runs]
    scales = [*aligned(_scale_rows(plans)), ""] if plans else []
    whole = sum(plan.runs for plan in plans) == len(study.trained)
    return "\n".join([*scales, *rows, "", *(_facts(study, estimate) if whole else []), *sums])


def _facts(study: LanguageRuns, estimate: Estimate) -> list[str]:
    """What the study trains and scores, what it leaves on disk, what its candidates cost."""
    examples = estimate.pool_examples
    training = sum(
        cost.training_flops(study.scales[run.scale].parameters, study.tokens(run.scale, run[1]))
        for run in study.trained
    )
    scoring = attribution_flops(study, examples)
    lines = [
        f"{len(study.grid)} distributions, {len(study.config.tasks)} tasks, "
        f"{len(study.trained)} runs, {training:.2e} FLOPs of training (6·P·D)",
        f"{scoring:.2e} FLOPs of attribution (paper, A.3), {len(study.scorings)} sets of scores",
        f"disk, at most: {_disk(disk_bytes(study, examples))}",
        *_memory(study, examples),
        *demands.told(study),
        *_kept_features(study, examples),
    ]
    if training + scoring > 1e17:
        hours = (training + scoring) / DEVICES[LARGE].rate("bf16") / 3600
        share = SUSTAINED["bf16"]
        lines.append(f"these FLOPs: {hours:,.0f} hours of an H100 at {share:.0%} of its bf16 peak")
    return lines


def _kept_features(study: LanguageRuns, examples: int | None) -> list[str]:
    """What it costs to keep features of more than a million candidates, or to make them twice."""
    own, lines = study.config.attribution, []
    device = DEVICES[LARGE]
    for kind in dict.fromkeys(scoring._replace(task="") for scoring in study.scorings):
        rows, models = _candidates(kind, examples), len(study.models(*kind[:2]))
        if rows < MANY:
            continue
        sizes = {keep: cost.row_bytes(own.dimension, keep) * rows for keep in cost.KEPT}
        told = ", ".join(f"{quantity(size)}B in {keep}" for keep, size in sizes.items())
        scale = study.scales[kind.scale]
        work = cost.training_flops(scale.parameters, rows * scale.length)
        hours = work / device.rate(own.precision) / 3600
        lines.append(
            f"features of {rows:,} × {own.dimension:,} by each of {models} models of {kind.scale}: "
            f"{told} (kept: {own.keep}); made twice and never stored, {hours:,.0f} hours of an "
            f"{LARGE} more in {own.precision}"
        )
    return lines


def _scale_rows(plans: Iterable[ScalePlan]) -> list[tuple[str, ...]]:
    head = ("scale", "parameters", "tokens", "FLOPs/run", "ref/own", "runs", "done", "s/run")
    rows: list[tuple[str, ...]] = [
        (
            plan.scale,
            f"{plan.parameters:,}",
            quantity(plan.tokens),
            f"{plan.flops:.2e}",
            f"{plan.ratio:.3g}",
            str(plan.runs),
            str(plan.done),
            "?" if plan.seconds is None else f"{plan.seconds:.1f}",
        )
        for plan in plans
    ]
    return [head, *rows]


def rule_rows(estimate: Timed) -> list[tuple[str, ...]]:
    """A row for every rule: its jobs, and the CPU time of those that are to do."""
    rows: list[tuple[str, ...]] = [("step", "jobs", "done", "measured", "CPU time to do")]
    for rule in dict.fromkeys(job.rule for job in estimate.jobs):
        jobs = [job for job in estimate.jobs if job.rule == rule]
        seconds = [estimate.seconds(job) for job in jobs if job.pending]
        left = sum(value or 0.0 for value in seconds)
        unknown = "?" if None in seconds else ""
        done = sum(not job.pending for job in jobs)
        measured = sum(job in estimate.measured for job in jobs)
        rows.append((rule, str(len(jobs)), str(done), str(measured), unknown or duration(left)))
    return rows


def time_told(estimate: Timed, cores: int) -> str:
    """All that is to do, Snakemake's own share in it, and how long that takes on so many cores."""
    pending = [job for job in estimate.jobs if job.pending]
    seconds = [estimate.seconds(job) for job in pending]
    known = [value for value in seconds if value is not None]
    own = PLANNED + SCHEDULED * len(seconds) if seconds else 0.0
    left = sum(known) + own
    longest = max((estimate.clock(job, cores) or 0.0 for job in pending), default=0.0)
    told = f"to do: {len(seconds)} jobs, {duration(left)} of CPU time"
    told += f" ({duration(own)} of it Snakemake's own)" if own else ""
    told += f", {duration(max(left / cores, longest + PLANNED))} on {cores} cores"
    unknown = len(seconds) - len(known)
    return f"{told}, and {unknown} jobs too large to calibrate here" if unknown else told


def _memory(study: LanguageRuns, examples: int | None) -> list[str]:
    """Upper bounds of the memory of the data's jobs, where the pool's size is known."""
    if examples is None:
        return []
    shards = min(entry.shards for entry in study.config.sources.values())
    pack = PACKED * examples // shards + HELD
    select = max(select_memory(study, name, examples) for name in study.config.distributions) + HELD
    return [f"memory of a job, at most: pack {quantity(pack)}B, select {quantity(select)}B"]


def _disk(disk: Mapping[str, int]) -> str:
    parts = ", ".join(f"{name} {quantity(size)}B" for name, size in disk.items())
    return f"{quantity(sum(disk.values()))}B ({parts})"
