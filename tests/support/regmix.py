"""RegMix's tables, where PROXYSCALE_DATA holds them: weights and losses of mixtures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(os.environ.get("PROXYSCALE_DATA", "")) / "results" / "regmix"
needs_regmix = pytest.mark.skipif(
    not os.environ.get("PROXYSCALE_DATA"), reason="needs PROXYSCALE_DATA"
)
SIZES = {16: 10, 32: 10, 64: 4, 128: 4, 512: 1}  # mixtures: repetitions


def _table(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / name).set_index("index").sort_index()


def mixtures(part: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares [mixtures, 17] and losses [mixtures, 13] of `train` or `test` at 1m, 60m or 1B."""
    weights = _table(f"{part}_mixture_{'1B' if scale == '1B' else '1m'}.csv")
    losses = _table(f"{part}_pile_loss_{scale}.csv").loc[weights.index]
    shares = weights.to_numpy(float)
    return shares / shares.sum(axis=1, keepdims=True), losses.to_numpy(float)


def drawn(n: int, rep: int) -> np.ndarray:
    """Rows of the training mixtures."""
    return np.random.default_rng(5000 * n + rep).permutation(512)[:n]
