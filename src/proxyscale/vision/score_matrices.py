"""Scores of image models as files: those of several ensembles side by side, and their averages.

Matrices of large pools are far larger than memory: they are mapped, and read for some test images
at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxyscale.base import arrays

Array = NDArray[np.floating]
Models = slice | Sequence[int]
BLOCK = 1 << 22  # scores of a model that are held at a time
ALL = slice(None)


@dataclass(frozen=True)
class Scores:
    """One number per model, test image and pool image, as `score_ensemble` writes it."""

    parts: list[Array]  # of every ensemble, [models, tests, pool]
    residuals: Array | None  # [models, pool] where TRAK's Q is wanted

    @classmethod
    def open(cls, folders: Sequence[Path], task: str, q: bool) -> Scores:
        """The scores of all models of a scale's ensembles, in their order."""
        parts = [arrays.read(folder / f"{task}.npy", "r") for folder in folders]
        weights = [arrays.read(folder / "residuals.npy") for folder in folders] if q else []
        return cls(parts, np.concatenate(weights) if weights else None)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def blocks(self) -> Iterator[slice]:
        """The test images, some at a time."""
        tests, pool = self.parts[0].shape[1:]
        size = max(1, BLOCK // pool)
        return (slice(start, start + size) for start in range(0, tests, size))

    def of(self, models: Models = ALL, tests: slice = ALL) -> Array:
        """Each chosen model's scores for some test images, without Q: f64 [models, tests, pool]."""
        every = [(part, number) for part in self.parts for number in range(len(part))]
        chosen = np.arange(len(every))[models]
        rows = [every[number][0][every[number][1], tests] for number in chosen]
        return np.stack(rows).astype(np.float64)

    def weight(self, models: Models = ALL) -> Array | float:
        """Q of the chosen models, mean over them [pool]; 1 where it is not wanted."""
        return 1.0 if self.residuals is None else np.asarray(self.residuals[models].mean(0))

    def mean(self, models: Models = ALL, tests: slice = ALL) -> Array:
        """The mean of the chosen models: [tests, pool]. With Q as in TRAK, section 3.2."""
        return np.asarray(self.of(models, tests).mean(0) * self.weight(models))

    def sums(self, masks: Array, models: Models = ALL) -> Array:
        """The mean scores summed over subsets of the pool: masks [m, pool] → [m, tests]."""
        return np.hstack([masks @ self.mean(models, block).T for block in self.blocks()])

    def summed(self, masks: Array, model: int) -> Array:
        """One model's scores, without Q, summed over subsets: masks [m, pool] → [m, tests]."""
        blocks = self.blocks()
        return np.hstack([masks @ self.of([model], block)[0].T for block in blocks])
