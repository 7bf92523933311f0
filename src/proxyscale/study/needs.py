"""What a job needs, foretold from the study: GPUs, their memory, the host's, time and disk.

The one source of all that is asked of a scheduler. Time is what finished jobs of the kind took, or
follows from operations and the device's rate, with a margin. Memory follows from formulas; what is
mapped from a file is none. Both are meant to be enough in nine cases of ten: a job that was given
too little is given twice as much at its next attempt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from proxyscale.study.hardware import DEVICES, Device

MB = 1e6
BARE = 800 * MB  # bytes: a process that reads and writes tables, and Snakemake's two about it
TORCH = 1500 * MB  # bytes: the same, with torch
CUDA = 3000 * MB  # bytes of the host's memory: CUDA's own share
CONTEXT = 1000 * MB  # bytes of a GPU's memory: CUDA's own share
LOSS_BYTES, LOSS_RATE = 200, 1e5  # memory of a row of losses, and rows a second

START = 120.0  # seconds: a node's first touch of the files, Snakemake's own start
MARGIN = 2.0  # of time: nodes differ


@dataclass(frozen=True)
class Need:
    """What the first attempt of a job is given."""

    memory: float  # bytes of the host
    seconds: float  # margin included
    gpus: float = 0.0  # of one node; below 1, a share of one
    gpu_memory: float = 0.0  # bytes of each
    disk: float = 0.0  # bytes that it leaves behind, at most

    def mem_mb(self, attempt: int) -> int:
        """Megabytes for an attempt, counted from 1."""
        return math.ceil(self.memory / MB) << attempt - 1

    def runtime(self, attempt: int) -> int:
        """Minutes for an attempt, counted from 1."""
        return math.ceil((START + self.seconds) / 60) << attempt - 1


class Needs:
    """The needs of the jobs of any study: those that read losses.

    `unnamed` is the device that `auto` stands for: `cpu`, or the name of a GPU.
    """

    def __init__(self, study: Any, unnamed: str = "cpu") -> None:
        self.study, self.unnamed = study, unnamed

    def device(self, named: str) -> Device:
        """The device of a config's word."""
        return DEVICES[self.unnamed if named == "auto" else named]

    def reading(self) -> Need:
        """A job over the losses of all runs."""
        rows = self.study.loss_rows
        return Need(BARE + LOSS_BYTES * rows, MARGIN * rows / LOSS_RATE)

    def most_gpus(self) -> tuple[float, str, str]:
        """The most GPUs that a job is said to have, what says so, and the device's name."""
        return 0.0, "", "auto"
