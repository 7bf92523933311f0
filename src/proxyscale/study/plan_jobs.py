"""A study's jobs by rule, as their needs foretell them, on so many GPUs; and what they took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from textwrap import wrap

from proxyscale.base import devices
from proxyscale.base.errors import UserError
from proxyscale.base.progress import aligned, duration, noted_duration, quantity
from proxyscale.study.hardware import LEAST
from proxyscale.study.job_graph import Planned
from proxyscale.study.makespan import Work, critical_path, makespan
from proxyscale.study.needs import MARGIN, Need, Needs

CORES = 8  # of a GPU's node, for each of its GPUs
FLEETS = (8, 64)  # GPUs that a plan tells days on
SHOWN = 0.02  # of the critical path: what is shorter is left out
WIDTH = 110  # of a line of it


def here() -> str:
    """What `device: auto` stands for on this machine."""
    return LEAST if devices.visible() else "cpu"


def needed(planned: Iterable[Planned], needs: Needs) -> list[Need]:
    """What every job needs."""
    return [needs.of(one.job.rule, one.wildcards) for one in planned]


def works(planned: Sequence[Planned], each: Sequence[Need]) -> list[Work]:
    """The jobs as they are simulated, without the margin; those that are done take no time."""
    return [
        Work(
            seconds=need.seconds / MARGIN if one.job.pending else 0.0,
            gpus=need.gpus if one.job.pending else 0.0,
            priority=one.priority,
            after=one.after,
            cores=need.cores,
        )
        for one, need in zip(planned, each, strict=True)
    ]


def by_rule(planned: Sequence[Planned], needs: Needs) -> tuple[list[str], list[str]]:
    """A row for every rule; and the sums: GPU and core hours to do, days on some GPUs."""
    each = needed(planned, needs)
    work = works(planned, each)
    rows = [("step", "jobs", "done", "GPU hours", "core hours", "memory", "GPU's memory")]
    for rule in dict.fromkeys(one.job.rule for one in planned):
        mine = [number for number, one in enumerate(planned) if one.job.rule == rule]
        done = sum(not planned[number].job.pending for number in mine)
        memory = max(each[number].memory for number in mine)
        on_gpu = max(each[number].gpu_memory for number in mine)
        rows.append(
            (
                rule,
                str(len(mine)),
                str(done),
                *_hours([work[number] for number in mine]),
                f"{quantity(memory)}B",
                f"{quantity(on_gpu)}B" if on_gpu else "",
            )
        )
    gpu, core = _hours(work)
    left = sum(one.job.pending for one in planned)
    told = f"to do: {left:,} jobs, {gpu} GPU hours, {core} core hours of jobs without a GPU"
    sums = [told]
    most = needs.most_gpus()
    for fleet in FLEETS if most.gpus else ():
        if most.gpus <= fleet:
            took = makespan(work, fleet, CORES * fleet)
            sums.append(
                f"on {fleet} GPUs ({most.device}), {CORES} cores for each: {duration(took)}"
            )
    return aligned(rows), sums


def disk(planned: Iterable[Planned], needs: Needs) -> str:
    """What all jobs leave behind, at most."""
    return f"disk, at most: {quantity(sum(need.disk for need in needed(planned, needs)))}B"


def _hours(work: Sequence[Work]) -> tuple[str, str]:
    """GPU hours of jobs, and core hours of those that need none."""
    gpu = sum(one.gpus * one.seconds for one in work) / 3600
    core = sum(one.cores * one.seconds for one in work if not one.gpus) / 3600
    return _number(gpu), _number(core)


def _number(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def on(planned: Sequence[Planned], needs: Needs, count: int, cores: int | None) -> str:
    """How long the jobs that are to run take on so many GPUs, or cores where none needs a GPU.

    UserError if a job asks for more GPUs.
    """
    asked, where, device, _ = needs.most_gpus()
    if asked > count:
        message = f"a job asks for {asked:g} GPUs, more than {count}"
        raise UserError(message, where=where, hint="`gpus` of the scale, or a larger --on")
    work = works(planned, needed(planned, needs))
    gpus, cores = (count, cores or CORES * count) if asked else (0, count)
    took, path = makespan(work, gpus, cores), critical_path(work)
    busy = sum(one.seconds * (one.gpus if asked else one.cores) for one in work)
    share = busy / took / (gpus or cores) if took else 0.0
    fleet = f"{gpus} GPUs ({device}) and {cores} cores" if asked else f"{cores} cores"
    left = sum(one.job.pending for one in planned)
    bound = sum(work[number].seconds for number in path)
    head = f"on {fleet}: {duration(took)} for {left:,} jobs; {'GPUs' if asked else 'cores'} "
    head += f"busy {share:.0%} of it; no more of them make it shorter than {duration(bound)}:"
    return "\n".join([head, *_path(planned, work, path, bound)])


def _path(
    planned: Sequence[Planned], work: Sequence[Work], path: Sequence[int], total: float
) -> list[str]:
    """The critical path's longer jobs, in three lines at most."""
    long = [number for number in path if work[number].seconds > SHOWN * total]
    steps = [f"{_named(planned[number])} {duration(work[number].seconds)}" for number in long]
    lines = wrap(" > ".join(steps), WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f"  {line}" for line in lines[:3]]


def _named(one: Planned) -> str:
    known = dict(one.wildcards)
    last = "-".join(known.pop(key) for key in ("draw", "seed") if key in known)
    return "/".join([f"{one.job.rule} {'/'.join(known.values())}".strip(), *filter(None, [last])])


def spent(planned: Sequence[Planned], needs: Needs) -> str:
    """What finished jobs took when they last ran, by rule, from their own logs."""
    rows = [("step", "jobs", "finished", "clock", "CPU time", "each", "GPU hours")]
    sums = [0.0, 0.0, 0.0]
    for rule in dict.fromkeys(one.job.rule for one in planned):
        mine = [one for one in planned if one.job.rule == rule]
        took = [(noted_duration(Path(one.job.log)), one) for one in mine]
        known = [(noted, one) for noted, one in took if noted]
        clock = sum(noted.seconds for noted, _ in known)
        cpu = sum(noted.cpu for noted, _ in known)
        gpu = sum(noted.seconds * _gpus(one, needs) for noted, one in known)
        sums = [total + more for total, more in zip(sums, (clock, cpu, gpu), strict=True)]
        each = f"{fmean(noted.cpu for noted, _ in known):.1f}s" if known else ""
        cells = duration(clock), duration(cpu), each, _number(gpu / 3600) if gpu else ""
        rows.append((rule, str(len(mine)), str(len(known)), *cells))
    clock, cpu, gpu = sums
    told = f"spent: {duration(cpu)} of CPU time, {duration(clock)} on the jobs' clocks"
    told += f", {_number(gpu / 3600)} GPU hours" if gpu else ""
    return "\n".join([*aligned(rows), "", f"{told}; of each job its last run"])


def _gpus(one: Planned, needs: Needs) -> float:
    """GPUs that a job had; of models that are there that is not known."""
    if not needs.most_gpus().gpus:
        return 0.0
    return needs.of(one.job.rule, one.wildcards).gpus
