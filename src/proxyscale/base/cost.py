"""What a model weighs and what training it and attributing through it cost, in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    return int(embeddings + positions + layers * (matrices + norms + biases) + 2 * width)


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


KEPT = {"fp32": 4, "fp16": 2, "int8": 1}  # bytes of a number of features


def row_bytes(dimension: int, keep: str) -> int:
    """Bytes of an example's features as they are kept (fp32, fp16, int8), with their scale."""
    return dimension * KEPT[keep] + (0 if keep == "fp32" else 4)


def gradient_bytes(model: Mapping[str, Any], length: int) -> float:
    """Memory of the gradient of one example of so many tokens while it is made, in float32.

    Its logits with their gradient and softmax; its activations (68 bytes a layer and unit of
    width) and the gradients of all outputs (40), which are held together; the gradient of the
    largest matrix, twice. Of an architecture that is none of ours: as if it were ours.
    """
    width, layers, vocabulary = model["width"], model["layers"], model["vocabulary"]
    largest = max(vocabulary * width, model.get("mlp_ratio", 4) * width**2)
    return float(12.0 * vocabulary * length + 108.0 * layers * width * length + 8.0 * largest)


def resnet_layers(model: Mapping[str, Any], size: int) -> Iterator[tuple[int, int, int]]:
    """Convolutions of a ResNet: weights, outputs' channels and positions, for images of `size`.

    `model` as for `vision.ResNet`: blocks, channels, classes, colors, stem.
    """
    width, large = model["channels"], model["stem"] == "imagenet"
    side = _halved(size) if large else size
    yield model["colors"] * width * (49 if large else 9), width, side * side
    side = _halved(side) if large else side
    inputs = width
    for stage, blocks in enumerate(model["blocks"]):
        outputs = width * 2**stage
        side = _halved(side) if stage else side
        for block in range(blocks):
            yield 9 * inputs * outputs, outputs, side * side
            yield 9 * outputs * outputs, outputs, side * side
            if inputs != outputs or (stage and not block):
                yield inputs * outputs, outputs, side * side
            inputs = outputs


def resnet_activations(model: Mapping[str, Any], size: int) -> float:
    """Outputs of all convolutions of a ResNet for one image of `size`: numbers, not bytes."""
    return float(sum(channels * places for _, channels, places in resnet_layers(model, size)))


def _halved(side: int) -> int:
    return (side + 1) // 2


def resnet_parameters(model: Mapping[str, Any]) -> int:
    """All parameters of a ResNet: convolutions, two per channel of a norm, the readout (Tab 15)."""
    layers = list(resnet_layers(model, 1))
    return sum(weights + 2 * channels for weights, channels, _ in layers) + _readout(model, True)


def resnet_flops(model: Mapping[str, Any], size: int) -> float:
    """FLOPs of a forward pass of one image: two for every multiplication of a weight."""
    layers = resnet_layers(model, size)
    return 2.0 * (sum(weights * places for weights, _, places in layers) + _readout(model, False))


def _readout(model: Mapping[str, Any], bias: bool) -> int:
    width: int = model["channels"] * 2 ** (len(model["blocks"]) - 1)
    return (width + bias) * int(model["classes"])


def trak_flops(forward: float, parameters: int, pool: int, tests: int, trak: Any) -> float:
    """FLOPs of one model's TRAK scores, beside its training.

    For each of `trak`'s checkpoints a forward and a backward pass (three times `forward`) of every
    image, the inner products of gradients (dual) or a pass of additions over them and the k × k
    system (projection), and the scores. `trak`: checkpoints (their number) and projection.
    """
    k = trak["projection"]
    images = 3.0 * forward * (pool + tests)
    if k is None:
        rest = 2.0 * parameters * pool * (pool / 2 + tests) + pool**3 / 3 + 2.0 * pool**2 * tests
    else:
        products = k * k * pool + 2.0 * k * pool * tests + 2.0 * k * k * tests
        rest = 2.0 * parameters * (pool + tests) + products + k**3 / 3
    return float(trak["checkpoints"] * (images + rest))
