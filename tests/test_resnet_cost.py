"""Closed forms of cost against what torch counts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from proxyscale import vision
from proxyscale.cost import resnet_flops, resnet_parameters, trak_flops

CIFAR: dict[str, Any] = {
    "blocks": [2, 2, 2, 2],
    "channels": 8,
    "classes": 10,
    "colors": 3,
    "stem": "cifar",
}
IMAGENET = CIFAR | {"stem": "imagenet", "classes": 1000}
SMALL = CIFAR | {"blocks": [1, 1], "colors": 1, "channels": 3}


@pytest.mark.parametrize("spec", [CIFAR, IMAGENET, SMALL, CIFAR | {"blocks": [1, 3, 2]}])
@pytest.mark.parametrize("size", [8, 32, 33])
def test_resnets_are_counted(spec: dict[str, Any], size: int) -> None:
    model = vision.ResNet(spec).eval()
    assert resnet_parameters(spec) == sum(p.numel() for p in model.parameters())
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, spec["colors"], size, size))
    # torch counts a padded convolution's border as the rest
    assert resnet_flops(spec, size) == counter.get_total_flops()


def test_trak_is_dominated_by_gradients_or_by_inner_products() -> None:
    options = {"checkpoints": 1, "projection": None}
    assert trak_flops(1e9, 1, 100, 10, options) == pytest.approx(3e9 * 110, rel=1e-2)
    wide = trak_flops(0.0, 10**9, 100, 10, options)
    assert wide == pytest.approx(2e9 * 100 * 60, rel=1e-2)
    assert trak_flops(1e9, 10**6, 100, 10, options | {"checkpoints": 3}) == pytest.approx(
        3 * trak_flops(1e9, 10**6, 100, 10, options)
    )
