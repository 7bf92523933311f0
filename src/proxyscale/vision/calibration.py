"""How fast a processor trains and attributes through networks of a shape: some steps, timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np

from proxyscale.training import language_model
from proxyscale.vision import resnet
from proxyscale.vision.batches import Batches
from proxyscale.vision.features import Gradients
from proxyscale.vision.images import Images
from proxyscale.vision.job_times import STEPS
from proxyscale.vision.stacked_training import Stack

ENOUGH = 0.15  # seconds of timing


def step_seconds(
    model: Mapping[str, Any], size: int, training: Mapping[str, Any], networks: int
) -> float:
    """CPU seconds of training on an image of `size`, by each of so many networks side by side."""
    language_model.prepare_cpu()
    batch: int = training["batch"]
    spec = {"model": model, "training": {**training, "epochs": STEPS}}
    members = [np.arange(batch)] * networks
    stack = Stack(spec, _noise(model, size, batch), members, range(networks))
    return _typical(lambda number: stack.step(number % STEPS)) / (batch * networks)


def gradient_seconds(model: Mapping[str, Any], size: int, copies: int) -> float:
    """CPU seconds of the gradient of an image of `size`, of so many side by side."""
    language_model.prepare_cpu()
    gradients, images = _gradients(model, copies), _noise(model, size, copies)
    return _typical(lambda _: gradients.whole(images, slice(0, copies))) / copies


def copy_seconds(model: Mapping[str, Any], size: int, copies: int) -> float:
    """CPU seconds of so many copies of a network, made to take gradients."""
    language_model.prepare_cpu()
    return _typical(lambda _: _gradients(model, copies))


def _gradients(model: Mapping[str, Any], copies: int) -> Gradients:
    (state,) = resnet.unstack(resnet.build(model, [0]).state_dict(), 1)
    return Gradients(model, state, copies)


def _noise(model: Mapping[str, Any], size: int, images: int) -> Batches:
    """As many images of chance."""
    shape, colors = (images, size, size, model["colors"]), model["colors"]
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    labels = np.arange(images) % model["classes"]
    return Batches(Images(pixels, labels, [], [128.0] * colors, [74.0] * colors))


def _typical(step: Callable[[int], object]) -> float:
    """CPU seconds of a step, by its number, once its memory is there; bursts of others left out."""
    took: list[float] = []
    step(0)
    while len(took) < STEPS - 1 or sum(took) < ENOUGH:
        start = time.process_time()
        step(len(took) + 1)
        took.append(time.process_time() - start)
    return median(took)
