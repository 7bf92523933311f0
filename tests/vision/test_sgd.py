"""SGD against torch's and mup's own."""

from __future__ import annotations

import mup
import pytest
import torch
from support.image_studies import ONE_CYCLE
from torch.nn import functional

from proxyscale.vision import resnet
from proxyscale.vision.sgd import one_cycle, optimizer

MODEL = {
    "blocks": [1, 1],
    "channels": 8,
    "classes": 5,
    "colors": 1,
    "stem": "cifar",
    "parametrization": "mup",
    "base_channels": 4,
}


@pytest.mark.parametrize("parametrization", ["mup", "standard"])
@pytest.mark.filterwarnings("ignore")
def test_steps_are_torchs_with_mups_rates(parametrization: str) -> None:
    spec = MODEL | {"parametrization": parametrization}
    models = [resnet.build(spec, [0]) for _ in range(2)]
    ours = optimizer(models[0], ONE_CYCLE)
    make = mup.MuSGD if parametrization == "mup" else torch.optim.SGD
    theirs = make(models[1].parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    rates = [group["lr"] for group in theirs.param_groups]
    images, labels = torch.randn(16, 1, 8, 8), torch.arange(16) % 5
    for factor in (0.1, 1.0, 0.5):
        for model in models:
            model.zero_grad()
            functional.cross_entropy(model(images)[0], labels).backward()
        ours.step(factor)
        for group, rate in zip(theirs.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        theirs.step()
    for own, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_one_cycle(decay: str) -> None:
    rates = [one_cycle(step, 200, ONE_CYCLE | {"decay": decay}) for step in range(200)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[10] == 1
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01
    assert rates[105] == pytest.approx(0.5)


def test_one_cycle_of_one_step_and_without_warmup() -> None:
    assert one_cycle(0, 1, ONE_CYCLE) == pytest.approx(0.01)
    assert one_cycle(0, 1, ONE_CYCLE | {"warmup": 0.0}) == 1
