"""The learning rate's way through a run, by whichever engine."""

from __future__ import annotations

import math


def rate_factor(step: int, steps: int, warmup: int, final: float) -> float:
    """The share of the peak rate at a step (from 0): linear warm-up, then a cosine to `final`."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))
