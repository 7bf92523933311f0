"""Scores of image models as files: those of several ensembles side by side, and their averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Scores:
    """One number per model, test image and pool image, as `score_ensemble` writes it."""

    each: Array  # [models, tests, pool]
    residuals: Array | None  # [models, pool] where TRAK's Q is wanted

    @classmethod
    def open(cls, folders: Sequence[Path], task: str, q: bool) -> Scores:
        """The scores of all models of a scale's ensembles, in their order."""
        parts = [np.load(folder / f"{task}.npy", mmap_mode="r") for folder in folders]
        each = parts[0] if len(parts) == 1 else np.concatenate(parts)
        weights = [np.load(folder / "residuals.npy") for folder in folders] if q else []
        return cls(each, np.concatenate(weights) if weights else None)

    def __len__(self) -> int:
        return len(self.each)

    def of(self, models: slice | Sequence[int]) -> Array:
        """Each chosen model's scores, Q of them all brought in if wanted: [models, tests, pool]."""
        chosen = self.each[models].astype(np.float64)
        return chosen if self.residuals is None else chosen * self.residuals[models].mean(0)

    def mean(self, models: slice | Sequence[int] = slice(None)) -> Array:
        """The mean of the chosen models: [tests, pool]. With Q as in TRAK, section 3.2."""
        mean: Array = self.of(models).mean(0)
        return mean
