"""What a study will do and what that will cost, told before anything is spent.

Which jobs are stale Snakemake alone can tell, and is asked. A job's time is its own when it last
ran, or that of its like; where nothing has run yet it follows from a short calibration of training
and from rates of reading and tokenizing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from proxyscale.base import artifacts, cost
from proxyscale.base.errors import UserError
from proxyscale.base.progress import aligned, duration, noted_duration, quantity
from proxyscale.study.inputs import text_bytes
from proxyscale.study.study import Scoring, Study, candidates_named

SNAKEFILE = Path(__file__).parents[3] / "Snakefile"
# A job in the words of a dry run.
JOB = re.compile(r"^(?:local)?rule (\w+):\n(?: .*\n)*?    log: (.*)$", re.MULTILINE)
# CPU seconds and rates of one core (AVX-512, 2.x GHz), where nothing has been measured yet.
START = {"corpus": 0.6, "pack": 0.6, "tokenizer": 0.6, "pool": 0.4, "task": 2.0, "select": 1.5}
START |= {"train": 2.0, "evaluate": 2.5, "features": 3.0, "score": 7.0, "figure": 2.0}
OTHER = 1.5  # seconds of any other job
BYTES = {"corpus": 12e6, "pack": 1.6e6, "tokenizer": 0.5e6}  # of text, a second
FORWARD = 1 / 3  # of a training step is the forward pass that measures a loss
FEATURES = 2.5  # a per-example gradient and its projection, in training steps of the same tokens
# A calibration takes ten steps: beyond so many FLOPs it would be no short one.
CALIBRATED = 3e12
LOSS_BYTES = 14  # a test example's row in a run's losses, compressed, as measured
# Memory of a job: bytes a row of the shard that is packed, bytes a candidate that is selected from,
# and what both take besides, for libraries and the text that is held at a time.
PACKED, SELECTED, HELD = 120, 150, 500 << 20
# NVIDIA's H100 SXM, dense bf16, and the share of it that training commonly reaches.
GPU_FLOPS, GPU_SHARE = 989e12, 0.4


class Job(NamedTuple):
    """One job of the workflow; its log names it."""

    rule: str
    log: str
    pending: bool


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


def ask_snakemake(configfile: str | None) -> list[Job]:
    """Every job of a study, and whether it would run now. UserError if Snakemake cannot tell."""
    pending = _dry_run(configfile)
    return [Job(*job, job in pending) for job in _dry_run(configfile, "--forceall")]


def _dry_run(configfile: str | None, *options: str) -> dict[tuple[str, str], None]:
    """Rule and log of the jobs that a dry run lists, in its order."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--snakefile", str(SNAKEFILE)]
    command += ["--configfile", configfile] if configfile else []
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        raise UserError(f"Snakemake cannot tell what is stale: {last}", hint="snakemake --dry-run")
    return dict.fromkeys(JOB.findall(done.stdout + done.stderr))


class Estimate:
    """Seconds of every job: measured where it has run, else estimated."""

    def __init__(
        self, study: Study, jobs: Iterable[Job], calibrate: Callable[[str], float | None]
    ) -> None:
        self.study = study
        self.jobs = list(jobs)
        self.calibrate = calibrate
        self.steps: dict[str, float | None] = {}  # training seconds by scale, as calibrated

    @cached_property
    def measured(self) -> dict[Job, float]:
        """CPU seconds of the jobs that have finished, from their logs."""
        found = {job: noted_duration(Path(job.log)) for job in self.jobs}
        return {job: took[1] for job, took in found.items() if took and self._still(job)}

    def _still(self, job: Job) -> bool:
        """Whether a job that has run is as long as it was then: its scale is the same size."""
        scale = self.study.scales.get(self.subject(job))
        if job.rule != "train" or scale is None:
            return True
        folder = Path(job.log.replace("/logs/train/", "/runs/")).with_suffix("")
        if not (folder / "manifest.json").exists():
            return False
        facts = artifacts.read_json(folder / "manifest.json")
        tokens = self.study.tokens(scale.name, folder.parent.name)
        return (facts["parameters"], facts["tokens"]) == (scale.parameters, tokens)

    @cached_property
    def alike(self) -> dict[tuple[str, str], float]:
        """Mean seconds of finished jobs of one rule and one subject."""
        groups: dict[tuple[str, str], list[float]] = {}
        for job, seconds in self.measured.items():
            groups.setdefault((job.rule, self.subject(job)), []).append(seconds)
        return {key: mean(values) for key, values in groups.items()}

    def subject(self, job: Job) -> str:
        """What a job is about: its source, task or scale."""
        parts = Path(job.log).relative_to(self.study.paths.log("").removesuffix(".log")).parts
        return parts[1].removesuffix(".log") if len(parts) > 1 else ""

    def seconds(self, job: Job) -> float | None:
        """One job's CPU seconds; None where that cannot be told."""
        if job in self.measured:
            return self.measured[job]
        return self.alike.get((job.rule, self.subject(job)), self._estimated(job))

    def _estimated(self, job: Job) -> float | None:
        study, subject = self.study, self.subject(job)
        start = START.get(job.rule, OTHER)
        if job.rule in ("corpus", "pack"):
            size = text_bytes(study, subject)
            shards = study.config.sources[subject].shards if job.rule == "pack" else 1
            return None if size is None else start + size / shards / BYTES[job.rule]
        if job.rule == "tokenizer":
            trained = study.config.tokenizer.sample_bytes if study.tokenizer_sources() else 0
            return start + trained / BYTES["tokenizer"]
        if job.rule not in ("train", "evaluate", "features"):
            return start
        per_token = self.training(subject)
        if per_token is None:
            return None
        config = study.config
        tokens = float(study.scales[subject].tokens)
        if job.rule == "evaluate":
            examples = sum(task.examples for task in config.tasks.values())
            tokens = FORWARD * examples * config.pool.length
        elif job.rule == "features":
            targets = sum(config.tasks[task].target_examples for task in study.scored_tasks)
            count = candidates_named(Path(job.log).stem)[0] or self.pool_examples or 0
            tokens = FEATURES * (count + targets) * config.pool.length
        return start + tokens * per_token

    def training(self, scale: str) -> float | None:
        """Training seconds of a scale per token: of its finished runs, else calibrated."""
        if scale not in self.steps:
            known = self.alike.get(("train", scale))
            found = None if known is None else max(0.0, known - START["train"])
            self.steps[scale] = self.calibrate(scale) if found is None else found
        seconds = self.steps[scale]
        return None if seconds is None else seconds / self.study.scales[scale].tokens

    @cached_property
    def pool_examples(self) -> int | None:
        """Examples in the pool, or the most that it can have; None where that cannot be told."""
        if Path(self.study.paths.pool).exists():
            return int(artifacts.read_json(self.study.paths.pool)["rows"])
        sizes = [text_bytes(self.study, source) for source in self.study.sources]
        if None in sizes:
            return None
        return int(sum(size or 0 for size in sizes) // self.study.config.pool.length)


def scale_plans(study: Study, estimate: Estimate) -> list[ScalePlan]:
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


def disk_bytes(study: Study, examples: int | None) -> dict[str, int]:
    """Upper bounds of what a study leaves on disk, by artifact, where the config tells them.

    `examples`: of the pool. Text is kept compressed, which is at most as long as it is; a row of
    the index takes 24 bytes; features are float32.
    """
    config = study.config
    models = sum(4 * study.scales[run.scale].parameters for run in study.trained)
    tested = sum(task.examples for task in config.tasks.values())
    found = {"models": models, "losses": 2 * LOSS_BYTES * tested * len(study.runs)}
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


def _features_bytes(study: Study, scoring: Scoring, examples: int | None) -> int:
    """float32 features of the candidates and of all target examples by every model."""
    targets = sum(study.config.tasks[task].target_examples for task in study.scored_tasks)
    models = len(study.models(scoring.scale, scoring.distribution))
    rows = _candidates(scoring, examples) + targets
    return 4 * rows * study.config.attribution.dimension * models


def attribution_flops(study: Study, examples: int | None) -> float:
    """FLOPs of all scores that distributions are selected by, by the formula of the paper's A.3."""
    total = 0.0
    for scoring in study.scorings:
        scale, models = study.scales[scoring.scale], study.models(*scoring[:2])
        dimension = study.config.attribution.dimension
        terms = (scale.length, dimension, _candidates(scoring, examples))
        targets = study.config.tasks[scoring.task].target_examples
        total += len(models) * cost.attribution_flops(scale.parameters, *terms, targets)
    return total


def _candidates(scoring: Scoring, examples: int | None) -> int:
    """Pool examples that are scored, at most, of so many in the pool."""
    return candidates_named(scoring.candidates)[0] or examples or 0


def told(study: Study, estimate: Estimate, cores: int) -> str:
    """The plan for people: scales, then all other jobs, then the sums."""
    plans, examples = scale_plans(study, estimate), estimate.pool_examples
    training = sum(
        cost.training_flops(study.scales[run.scale].parameters, study.tokens(run.scale, run[1]))
        for run in study.trained
    )
    scoring = attribution_flops(study, examples)
    lines = [
        *aligned(_scale_rows(plans)),
        "",
        *aligned(_rule_rows(estimate)),
        "",
        f"{len(study.grid)} distributions, {len(study.config.tasks)} tasks, "
        f"{len(study.trained)} runs, {training:.2e} FLOPs of training (6·P·D)",
        f"{scoring:.2e} FLOPs of attribution (paper, A.3), {len(study.scorings)} sets of scores",
        f"disk, at most: {_disk(disk_bytes(study, examples))}",
        *_memory(study, examples),
        _time(estimate, cores),
    ]
    if training + scoring > 1e17:
        hours = (training + scoring) / (GPU_FLOPS * GPU_SHARE) / 3600
        lines.append(f"on GPUs: {hours:,.0f} hours of an H100 at {GPU_SHARE:.0%} of its bf16 peak")
    return "\n".join(lines)


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


def _rule_rows(estimate: Estimate) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("step", "jobs", "done", "measured", "CPU time to do")]
    for rule in dict.fromkeys(job.rule for job in reversed(estimate.jobs)):
        jobs = [job for job in estimate.jobs if job.rule == rule]
        seconds = [estimate.seconds(job) for job in jobs if job.pending]
        left = sum(value or 0.0 for value in seconds)
        unknown = "?" if None in seconds else ""
        done = sum(not job.pending for job in jobs)
        measured = sum(job in estimate.measured for job in jobs)
        rows.append((rule, str(len(jobs)), str(done), str(measured), unknown or duration(left)))
    return rows


def _time(estimate: Estimate, cores: int) -> str:
    seconds = [estimate.seconds(job) for job in estimate.jobs if job.pending]
    known = [value for value in seconds if value is not None]
    left = sum(known)
    longest = max(known, default=0.0)
    told = f"to do: {len(seconds)} jobs, {duration(left)} of CPU time"
    told += f", {duration(max(left / cores, longest))} on {cores} cores"
    unknown = len(seconds) - len(known)
    return f"{told}, and {unknown} jobs too large to calibrate here" if unknown else told


def _memory(study: Study, examples: int | None) -> list[str]:
    """Upper bounds of the memory of the data's jobs, where the pool's size is known."""
    if examples is None:
        return []
    shards = min(entry.shards for entry in study.config.sources.values())
    counts = [entry.candidates or examples for entry in study.config.distributions.values()]
    pack = PACKED * examples // shards + HELD
    select = SELECTED * min(max(counts), examples) + HELD
    return [f"memory of a job, at most: pack {quantity(pack)}B, select {quantity(select)}B"]


def _disk(disk: Mapping[str, int]) -> str:
    parts = ", ".join(f"{name} {quantity(size)}B" for name, size in disk.items())
    return f"{quantity(sum(disk.values()))}B ({parts})"
