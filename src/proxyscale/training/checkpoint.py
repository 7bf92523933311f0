"""What an interrupted run goes on from: its tensors at one step, in one file beside its results.

Written now and then, not after every step: a run that is shorter than the interval writes none.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from proxyscale.base import artifacts, seals


class Checkpoint:
    """`{folder}/checkpoint.safetensors`, which only a run with the same `key` takes up.

    `minutes` between two of them; None writes none.
    """

    def __init__(self, folder: Path, key: object, minutes: float | None) -> None:
        self.path = folder / "checkpoint.safetensors"
        self.key = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.interval = None if minutes is None else 60 * minutes
        self.last = time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed since the last one."""
        return self.interval is not None and time.monotonic() - self.last >= self.interval

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Write the tensors."""
        with artifacts.atomic(self.path) as temporary:
            safetensors.torch.save_file(dict(state), temporary, {"key": self.key, **seals.HEADER})
        self.last = time.monotonic()

    def load(self) -> dict[str, Tensor] | None:
        """The tensors of an interrupted run; None if there are none, or of another run."""
        if not seals.intact(self.path):
            return None
        with safetensors.safe_open(self.path, "pt") as file:
            if (file.metadata() or {}).get("key") != self.key:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def remove(self) -> None:
        """Forget it: the run has ended."""
        self.path.unlink(missing_ok=True)
