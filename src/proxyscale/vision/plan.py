"""What a study of image models will do and what that will cost, told before anything is spent."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from proxyscale.base import machine
from proxyscale.base.progress import Noted, aligned, noted_duration, quantity
from proxyscale.study.job_graph import Job, Planned
from proxyscale.study.machine_rates import MachineRates, named
from proxyscale.study.needs import with_own
from proxyscale.vision.job_times import OTHER, START, ImageTimes, Speed, copies, networks, probed
from proxyscale.vision.runs import ImageRuns

Kind = tuple[str, str | None]  # a rule, and a scale if it is about one


def measured_speed(study: ImageRuns, rates: MachineRates) -> Callable[[str], Speed | None]:
    """How fast this machine computes with a scale: from a probe that is kept, of the scale or, if
    it is too dear, of the dearest that is not; None if all are."""
    short = probed(study)

    @functools.cache
    def speed(name: str) -> Speed | None:
        if name not in short:
            nearest = speed(short[-1]) if short else None
            more = study.scales[name].forward_flops
            return nearest and Speed(
                *(v * more / study.scales[short[-1]].forward_flops for v in nearest)
            )
        scale, beside = study.scales[name], networks(study, name)
        asked = {key: scale.training[key] for key in ("batch", "augment", "precision")}
        shape = scale.model, scale.size

        def measure(name: str, *how: object) -> float:
            from proxyscale.vision import calibration  # torch takes seconds to import

            seconds: float = getattr(calibration, name)(*shape, *how)
            return seconds

        return Speed(
            trained=rates.kept(
                named("image", *shape, asked, beside),
                lambda: measure("step_seconds", scale.training, beside),
            ),
            gradient=rates.kept(
                named("gradient", *shape), lambda: measure("gradient_seconds", copies(scale))
            ),
            copied=rates.kept(
                named("copies", *shape), lambda: measure("copy_seconds", copies(scale))
            ),
        )

    return speed


class ImageEstimate:
    """CPU seconds of every job: as it took, or as is expected of it.

    What is expected follows from `times` and a start, which takes `text` times as long here, and is
    corrected by what finished jobs of the rule and scale took on a machine such as this one.
    """

    def __init__(self, planned: Sequence[Planned], times: ImageTimes, text: float = 1.0) -> None:
        self.wildcards = {one.job: one.wildcards for one in planned}
        self.jobs = list(self.wildcards)
        self.times, self.text = times, text

    @cached_property
    def _noted(self) -> dict[Job, Noted]:
        """What is known of the jobs that need not run again."""
        found = {job: noted_duration(Path(job.log)) for job in self.jobs if not job.pending}
        return {job: took for job, took in found.items() if took}

    @cached_property
    def measured(self) -> dict[Job, float]:
        """Seconds of the jobs that have finished, from their logs."""
        return {job: took.cpu for job, took in self._noted.items()}

    @cached_property
    def _corrections(self) -> dict[Kind, float]:
        """Seconds that finished jobs took, in those that were expected of them."""
        took, expected = defaultdict[Kind, float](float), defaultdict[Kind, float](float)
        for job, noted in self._noted.items():
            if noted.machine == machine.key():
                took[self._kind(job)] += noted.cpu
                expected[self._kind(job)] += self._expected(job)
        return {kind: seconds / expected[kind] for kind, seconds in took.items()}

    def _kind(self, job: Job) -> Kind:
        return job.rule, self.wildcards[job].get("scale")

    def _expected(self, job: Job) -> float:
        work: float = with_own(getattr(self.times, job.rule, lambda: 0.0), self.wildcards[job])
        return self.text * START.get(job.rule, OTHER) + work

    def seconds(self, job: Job) -> float:
        """One job's seconds."""
        if job in self.measured:
            return self.measured[job]
        return self._corrections.get(self._kind(job), 1.0) * self._expected(job)

    def clock(self, job: Job, cores: int) -> float:
        """The same: no job here has several cores."""
        return self.seconds(job)


def told_images(study: ImageRuns) -> str:
    """The plan as a table for people: a row per scale and distribution."""
    head = ("scale", "parameters", "distribution", "runs", "images/run", "FLOPs/run", "jobs done")
    rows, total, examples = [head], 0.0, study.pool_examples
    for name, scale in study.scales.items():
        for distribution, entry in study.config.distributions.items():
            if name not in study.scales_of(distribution):
                continue
            ensembles = study.ensembles(distribution)
            runs = study.draws(distribution) * len(study.seeds(distribution))
            folders = [
                Path(study.paths.image_ensemble(name, distribution, ensemble))
                for ensemble in ensembles
            ]
            done = sum((folder / "manifest.json").exists() for folder in folders)
            share = entry.fraction if entry.method == "stratified" else 1.0
            seen = share * (examples or 0) * scale.training["epochs"]
            flops = 3 * scale.forward_flops * seen
            total += runs * flops
            told = (quantity(seen), f"{flops:.2e}") if examples else ("?", "?")
            count = f"{done}/{len(ensembles)}"
            rows.append((name, f"{scale.parameters:,}", distribution, str(runs), *told, count))
    return "\n".join([*aligned(rows), "", f"training, at most: {total:.2e} FLOPs"])
