"""What a job needs, foretold from the study: GPUs, their memory, the host's, time and disk.

The one source of all that is asked of a scheduler. Time is what finished jobs of the kind took, or
follows from operations and the device's rate, with a margin. Memory follows from formulas; what is
mapped from a file is none. Both are meant to be enough in nine cases of ten: a job that was given
too little is given twice as much at its next attempt.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from proxyscale.base.devices import Most
from proxyscale.base.errors import UserError
from proxyscale.study.hardware import DEVICES, Device
from proxyscale.study.job_graph import Job
from proxyscale.study.models_table import OwnModel
from proxyscale.tables.sizes import named

MB = 1e6
BARE = 800 * MB  # bytes: a process that reads and writes tables, and Snakemake's two about it
TORCH = 1500 * MB  # bytes: the same, with torch
CUDA = 3000 * MB  # bytes of the host's memory: CUDA's own share
CONTEXT = 1000 * MB  # bytes of a GPU's memory: CUDA's own share
LOSS_BYTES, LOSS_RATE = 200, 1e5  # memory of a row of losses, and rows a second

START = 120.0  # seconds: a node's first touch of the files, Snakemake's own start
MARGIN = 2.0  # of time: nodes differ
UNSIZED = 1e9  # parameters of a model of which nobody says how large it is
UNKNOWN = 3600.0  # seconds of a job that the plan cannot tell


@dataclass(frozen=True)
class Need:
    """What the first attempt of a job is given."""

    memory: float  # bytes of the host, of each node
    seconds: float  # margin included
    gpus: float = 0.0  # of all nodes; below 1, a share of one
    gpu_memory: float = 0.0  # bytes of each
    disk: float = 0.0  # bytes that it leaves behind, at most
    nodes: int = 1  # that have as many of the GPUs each
    cores: int = 1  # whose processes share its work, where it needs no GPU
    slack: float = 0.0  # seconds besides, which nobody expects to be taken

    def mem_mb(self, attempt: int) -> int:
        """Megabytes for an attempt, counted from 1."""
        return math.ceil(self.memory / MB) << attempt - 1

    def runtime(self, attempt: int, cores: int) -> int:
        """Minutes for an attempt, counted from 1, on so many cores, of which it can use its own."""
        seconds = self.seconds * self.cores / min(self.cores, cores) + self.slack
        return math.ceil((START + seconds) / 60) << attempt - 1


def with_own(method: Callable[..., Any], wildcards: Mapping[str, str]) -> Any:
    """What a method returns for a job: of all wildcards it is given those that it asks for."""
    asked = inspect.signature(method).parameters
    return method(**{key: value for key, value in wildcards.items() if key in asked})


class Needs:
    """The needs of the jobs of any study: those that read losses.

    `unnamed` is the device that `auto` stands for: `cpu`, or the name of a GPU.
    """

    def __init__(self, study: Any, unnamed: str = "cpu") -> None:
        self.study, self.unnamed = study, unnamed

    def learn(self, jobs: Iterable[Job]) -> None:
        """Take what finished ones of these jobs took for what their like will take."""

    def of(self, rule: str, wildcards: Mapping[str, str]) -> Need:
        """The need of a job: of its rule's own method, or of a job that reads losses.

        UserError if nobody can tell: of models that are there.
        """
        method = getattr(self, rule, self.reading)
        if rule == "measure":
            raise UserError("how long models that are there take is not known", where="models")
        found: Need = with_own(method, wildcards)
        return found

    def device(self, word: str) -> Device:
        """The device of a config's word."""
        return DEVICES[self.unnamed if word == "auto" else word]

    def measure(self, model: OwnModel, gpus: float) -> Need:
        """A model that is there, in float32 beside what it is read from, on all tasks.

        On a GPU if one is here or `gpus` are said to be asked for.
        """
        size = model.parameters or named(model.scale)
        weights = 8.0 * (UNSIZED if math.isnan(size) else size)
        if not gpus or not self.device("auto").gpu:
            return Need(TORCH + weights, UNKNOWN)
        return Need(TORCH + CUDA + weights, UNKNOWN, gpus, CONTEXT + weights)

    def reading(self) -> Need:
        """A job over the losses of all runs."""
        rows = self.study.loss_rows
        return Need(BARE + LOSS_BYTES * rows, MARGIN * rows / LOSS_RATE)

    def most_gpus(self) -> Most:
        """The most GPUs that a job is said to have."""
        return Most(0.0, "", "auto")


def once_a_round(need: Callable[[Any], Need]) -> Callable[[str, Any], Need]:
    """`need` of a job's wildcards, worked out once for all that is asked of the job in turn.

    It is worked out again when something is asked for the second time: Snakemake asks for each of
    a job's resources once while it builds the graph and once before the job starts, and jobs that
    have ended between have told more.
    """
    known: dict[str, Any] = {"job": None, "asked": set()}

    def found(name: str, wildcards: Any) -> Need:
        job = dict(wildcards.items())
        if job != known["job"] or name in known["asked"]:
            known.update(job=job, asked=set(), need=need(wildcards))
        known["asked"].add(name)
        told: Need = known["need"]
        return told

    return found
