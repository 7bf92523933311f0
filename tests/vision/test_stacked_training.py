"""Stacked training is training one by one, and training one is what torch does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.image_studies import ONE_CYCLE
from torch.nn import functional

from proxyscale.vision import resnet
from proxyscale.vision.batches import Batches, order, side_by_side
from proxyscale.vision.evaluate import measure
from proxyscale.vision.images import Images
from proxyscale.vision.sgd import one_cycle
from proxyscale.vision.stacked_training import Stack

SPEC: dict[str, Any] = {
    "model": {
        "blocks": [1, 1],
        "channels": 4,
        "classes": 3,
        "colors": 1,
        "stem": "cifar",
        "parametrization": "mup",
        "base_channels": 8,
    },
    "training": {
        "epochs": 12,
        "batch": 16,
        **ONE_CYCLE,
        "augment": {"pad": 1, "flip": True},
        "checkpoints": [4],
        "precision": "fp32",
    },
}


def learnable(count: int) -> Batches:
    """Images whose class is where they are bright."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, count)
    pixels = rng.integers(0, 120, (count, 8, 8, 1), dtype=np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 2 + 2 * label : 4 + 2 * label] += 110
    return Batches(Images(pixels, labels, ["a", "b", "c"], [90.0], [60.0]))


@pytest.fixture(scope="module")
def pool() -> Batches:
    return learnable(80)


@pytest.fixture(scope="module")
def subsets() -> list[np.ndarray]:
    return [np.random.default_rng(seed).permutation(80)[:40] for seed in range(8)]


def margins(stack: Stack, pool: Batches) -> torch.Tensor:
    model = resnet.restore(SPEC["model"], stack.states())
    return torch.stack([margin for _, margin, _ in measure(model, pool)])


def test_margins_of_a_stack_are_those_of_its_networks_alone(
    pool: Batches, subsets: list[np.ndarray]
) -> None:
    together = Stack(SPEC, pool, subsets, range(8))
    alone = [Stack(SPEC, pool, [subset], [seed]) for seed, subset in enumerate(subsets)]
    assert together.steps == 30
    for stack in (together, *alone):
        for step in range(30):
            stack.step(step)
    single = torch.cat([margins(stack, pool) for stack in alone])
    stacked = margins(together, pool)
    assert stacked.std() > 0.5  # they have learned something
    torch.testing.assert_close(stacked, single, rtol=1e-5, atol=1e-5)


def test_a_step_is_torchs(pool: Batches, subsets: list[np.ndarray]) -> None:
    """One network in the standard parametrization, no augmentation: autograd and torch's SGD."""
    model = SPEC["model"] | {"parametrization": "standard"}
    spec = {"model": model, "training": SPEC["training"] | {"augment": None}}
    stack = Stack(spec, pool, subsets[:1], [0])
    other = resnet.build(model, [0])
    sgd = torch.optim.SGD(other.parameters(), lr=1.0, momentum=0.9, weight_decay=5e-4)
    for step in range(5):
        images, labels = pool(stack.batches[step][0])
        loss = functional.cross_entropy(other(side_by_side(images[None]))[0], labels)
        sgd.zero_grad()
        loss.backward()
        sgd.param_groups[0]["lr"] = 0.1 * one_cycle(step, stack.steps, spec["training"])
        sgd.step()
        torch.testing.assert_close(stack.step(step)[0], loss.detach(), rtol=1e-4, atol=1e-5)


def test_training_keeps_checkpoints_and_a_curve(pool: Batches, subsets: list[np.ndarray]) -> None:
    trained = Stack(SPEC, pool, subsets[:2], [0, 1]).train("test")
    assert sorted(trained.checkpoints) == [4, 12]
    early, last = (trained.checkpoints[epoch][0]["stem.0.weight"] for epoch in (4, 12))
    assert not torch.equal(early, last)
    assert [row["step"] for row in trained.rows] == list(range(1, 31))
    assert trained.rows[-1]["tokens"] == 30 * 16
    assert trained.rows[-1]["loss"] < 0.8 * trained.rows[0]["loss"]
    assert len(trained.final_losses) == 2


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 19), min_size=1), st.sets(st.integers(0, 19), min_size=1))
def test_subsets_see_what_they_share_in_one_order(first: set[int], second: set[int]) -> None:
    shared = first & second
    seen = []
    for members in (first, second):
        rows = order(np.array(sorted(members)), 20, seed=4, epochs=3).view(3, -1)
        assert all(sorted(epoch) == sorted(members) for epoch in rows.tolist())
        seen.append([[row for row in epoch if row in shared] for epoch in rows.tolist()])
    assert seen[0] == seen[1]


def test_repeated_members_are_seen_repeatedly() -> None:
    rows = order(np.array([3, 3, 1]), 5, seed=0, epochs=2)
    assert sorted(rows.tolist()) == [1, 1, 3, 3, 3, 3]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CPU would be held against itself")
def test_margins_are_the_same_on_a_gpu(pool: Batches, subsets: list[np.ndarray]) -> None:
    stack = Stack(SPEC, pool, subsets[:2], [0, 1])
    assert stack.model.stem[0].weight.is_cuda
    home = Stack(SPEC, pool, subsets[:2], [0, 1])
    home.pool = learnable(80)
    home.pool.device = torch.device("cpu")
    assert float(stack.step(0).sum()) > 0
