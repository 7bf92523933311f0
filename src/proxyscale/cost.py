"""What a model weighs and what training it and attributing through it cost, in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def language_parameters(model: Mapping[str, Any]) -> int:
    """All parameters of a language model, embeddings and head included.

    With biases and tied embeddings this is V·d + ctx·d + L·(12d² + 13d) + 2d, which gives the
    counts that the paper prints (Table 10) to the digit.
    """
    width, layers = model["width"], model["layers"]
    hidden = model["mlp_ratio"] * width
    matrices = 4 * width * width + 2 * width * hidden
    norms = 4 * width
    biases = (5 * width + hidden) if model["bias"] else 0
    embeddings = model["vocabulary"] * width * (1 if model["tied"] else 2)
    positions = model["context"] * width
    return embeddings + positions + layers * (matrices + norms + biases) + 2 * width


def training_flops(parameters: int, tokens: int) -> float:
    """6·P·D: a forward and a backward pass over D tokens (paper, section 2)."""
    return 6.0 * parameters * tokens


def attribution_flops(
    parameters: int, length: int, dimension: int, examples: int, targets: int
) -> float:
    """One model's scores of `examples` pool examples for `targets` test examples (paper, A.3).

    Gradients of all examples of `length` tokens, each projected by a dense matrix of parameters ×
    `dimension`; the inverse of the features' second moment; scores of every pair. The projection
    here is not dense (see `Projection`), so that the 2·k·p of each example is an upper bound.
    """
    p, t, k, n, m = map(float, (parameters, length, dimension, examples, targets))
    of_examples = (6 * p * t + 4 * k**2 + 2 * k * p - 2 * k + 2 * k * m - m) * n
    of_targets = 6 * p * t * m + k * (2 * p - 1) * m
    return of_examples + of_targets - k**2 + k**3
