"""How fast this machine is: measured once in seconds, and kept for every kind of machine apart."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from proxyscale.base import artifacts, machine

FOLDER = Path(".snakemake")  # what Snakemake remembers of this folder lies there, too
WORDS, SIDE, TRIES = 600_000, 1024, 5  # of the probe
# CPU seconds that the probe takes where the rates of `job_times` hold.
TEXT, MATRICES = 0.28, 0.035


class MachineRates:
    """Rates of this machine, which others that share the folder neither read nor overwrite."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.path = folder / f"rates-{machine.key()}.json"
        self.known: dict[str, float] = artifacts.read_json(self.path) if self.path.exists() else {}

    def kept(self, name: str, measure: Callable[[], float]) -> float:
        """What has been measured under a name; else it is measured now."""
        if name not in self.known:
            self.known[name] = measure()
            artifacts.write_json(self.path, self.known)
        return self.known[name]

    def training(
        self, model: Mapping[str, Any], training: Mapping[str, Any], calibrate: Callable[..., float]
    ) -> float:
        """Seconds of a run, by a calibration of its step that any number of tokens shares."""
        own = {key: value for key, value in training.items() if key != "tokens"}
        tokens: int = training["tokens"]
        name = named("token", model, own)
        return tokens * self.kept(name, lambda: calibrate(model, training) / tokens)

    @property
    def text(self) -> float:
        """Seconds that work on text takes here, in those of the machine of `job_times`."""
        return self.kept("text", text_seconds) / TEXT

    @property
    def matrices(self) -> float:
        """The same of products of large matrices."""
        return self.kept("matrices", matrix_seconds) / MATRICES


def named(kind: str, *facts: object) -> str:
    """The name of a rate of a kind, of all that it depends on."""
    said = json.dumps(facts, sort_keys=True)
    return f"{kind} {hashlib.sha256(said.encode()).hexdigest()[:16]}"


def text_seconds() -> float:
    """CPU seconds of finding, counting and hashing words."""
    text = " ".join(f"word{number * number % 9973} of" for number in range(WORDS // 2))

    def work() -> None:
        counts = Counter(re.findall(r"\w+", text))
        hashlib.sha256("".join(sorted(counts)).encode()).hexdigest()

    return _least(work)


def matrix_seconds() -> float:
    """CPU seconds of a product of two matrices in float32."""
    matrix = np.ones((SIDE, SIDE), np.float32)
    return _least(lambda: matrix @ matrix)


def _least(work: Callable[[], object]) -> float:
    """CPU seconds of the fastest of some tries: others take from the slower ones."""
    took = []
    for _ in range(TRIES):
        start = time.thread_time()
        work()
        took.append(time.thread_time() - start)
    return min(took)
