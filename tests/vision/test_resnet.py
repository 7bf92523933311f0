"""ResNets: counted, compared with a plain one, and flat across widths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from proxyscale.base.errors import UserError
from proxyscale.vision import resnet
from proxyscale.vision.sgd import optimizer

CIFAR = {
    "blocks": [2, 2, 2, 2],
    "channels": 64,
    "classes": 10,
    "colors": 3,
    "stem": "cifar",
    "parametrization": "mup",
    "base_channels": 4,
}
SMALL = CIFAR | {"blocks": [1, 1], "channels": 4, "classes": 5, "colors": 1}
TRAINING = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4}


def parameters(spec: dict[str, Any]) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in resnet.ResNet(spec).parameters())


@pytest.mark.parametrize(
    ("channels", "count"),
    [
        (4, 44_622),
        (8, 176_402),
        (16, 701_466),
        (32, 2_797_610),
        (64, 11_173_962),
        (128, 44_662_922),
        (256, 178_585_866),
        # Table 15 prints 714,421,850, which does not lie on the parabola of all the others.
        (512, 714_211_850),
    ],
)
def test_parameters_of_the_cifar_form(channels: int, count: int) -> None:
    assert parameters(CIFAR | {"channels": channels}) == count


@pytest.mark.parametrize(
    ("channels", "count"),
    [
        (8, 241_712),
        (16, 831_096),
        (32, 3_055_880),
        (64, 11_689_512),
        (128, 45_693_032),
        (256, 180_645_096),
    ],
)
def test_parameters_of_the_imagenet_form(channels: int, count: int) -> None:
    assert parameters(CIFAR | {"channels": channels, "classes": 1000, "stem": "imagenet"}) == count


def test_an_unknown_stem_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="cifar, imagenet"):
        resnet.ResNet(CIFAR | {"stem": "cifra"})


def plain_block(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, nn.Module]:
    main = nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )
    if stride == 1 and inputs == outputs:
        return main, nn.Identity()
    convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return main, nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class PlainResNet(nn.Module):
    """A ResNet-6 or -18 written the usual way, one model, standard parametrization."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        width = spec["channels"]
        self.stem = nn.Sequential(
            nn.Conv2d(spec["colors"], width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.ModuleList()
        for stage, blocks in enumerate(spec["blocks"]):
            for block in range(blocks):
                outputs = spec["channels"] * 2**stage
                self.blocks.append(
                    nn.ModuleList(plain_block(width, outputs, 1 + (stage > 0 == block)))
                )
                width = outputs
        self.readout = nn.Linear(width, spec["classes"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for main, shortcut in self.blocks:
            x = torch.relu(main(x) + shortcut(x))
        return self.readout(x.mean((2, 3)))


def plain_copy(spec: dict[str, Any], model: resnet.ResNet) -> PlainResNet:
    """The plain network with a single model's parameters, which come in the same order."""
    plain = PlainResNet(spec)
    with torch.no_grad():
        for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
            theirs.copy_(ours)
    return plain


@pytest.mark.parametrize("spec", [SMALL, CIFAR | {"channels": 4}])
def test_outputs_are_those_of_a_plain_resnet(spec: dict[str, Any]) -> None:
    spec = spec | {"parametrization": "standard"}
    model = resnet.build(spec, [0])
    nn.init.normal_(model.readout.weight)
    plain = plain_copy(spec, model)
    images = torch.randn(6, spec["colors"], 16, 16)
    torch.testing.assert_close(model(images)[0], plain(images), rtol=1e-4, atol=1e-4)


def test_models_of_a_stack_do_not_touch_each_other() -> None:
    model, images = resnet.build(SMALL, [3, 5, 9]), torch.randn(4, 3, 8, 8)
    nn.init.normal_(model.readout.weight)
    states = resnet.unstack(model.state_dict(), 3)
    together = resnet.restore(SMALL, states)(images)
    for index, state in enumerate(states):
        alone = resnet.restore(SMALL, [state])(images[:, [index]])
        torch.testing.assert_close(together[index], alone[0], rtol=1e-5, atol=1e-6)


def test_a_network_depends_on_its_own_seed_alone() -> None:
    stacked = resnet.unstack(resnet.build(SMALL, [3, 5]).state_dict(), 2)
    for seed, state in zip((3, 5), stacked, strict=True):
        (alone,) = resnet.unstack(resnet.build(SMALL, [seed]).state_dict(), 1)
        assert all(torch.equal(alone[name], state[name]) for name in alone)


def test_initialization_is_pytorchs() -> None:
    torch.manual_seed(0)
    ours, theirs = (
        resnet.build(SMALL | {"channels": 32}, [0]),
        resnet.ResNet(SMALL | {"channels": 32}),
    )
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        if own.ndim == 4:
            largest, known = (float(p.detach().abs().max()) for p in (own, other))
            assert largest == pytest.approx(known, rel=0.05)
            assert float(own.detach().std()) == pytest.approx(float(other.detach().std()), rel=0.1)


def test_states_of_another_shape_are_refused() -> None:
    (state,) = resnet.unstack(resnet.build(SMALL, [0]).state_dict(), 1)
    state.pop("readout.bias")
    with pytest.raises(ValueError, match=r"readout\.bias"):
        resnet.restore(SMALL, [state])


def test_margins_are_log_odds() -> None:
    logits, labels = torch.randn(3, 5, 7, dtype=torch.double), torch.randint(7, (3, 5))
    probability = logits.softmax(-1).gather(-1, labels[..., None])[..., 0]
    expected = torch.log(probability / (1 - probability))
    torch.testing.assert_close(resnet.margins(logits, labels), expected)
    sure = torch.tensor([100.0, 0.0])
    assert resnet.margins(sure, torch.tensor(0)) == 100  # where 1 − p underflows


def activations(parametrization: str, channels: int, steps: int = 4) -> dict[str, float]:
    """Mean change of each layer's output after a few steps of training at one rate."""
    spec = SMALL | {"channels": channels, "parametrization": parametrization}
    model = resnet.build(spec, [0])
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(32, 1, 8, 8, generator=generator), torch.arange(32) % 5
    seen: dict[str, Tensor] = {}
    layers = {"block1": model.stages[0], "block2": model.stages[1], "logits": model.readout}
    for name, layer in layers.items():
        layer.register_forward_hook(
            lambda _m, _i, out, name=name: seen.update({name: out.detach()})
        )
    model(images)
    before, sgd = dict(seen), optimizer(model, TRAINING)
    for _ in range(steps):
        model.zero_grad()
        nn.functional.cross_entropy(model(images)[0], labels).backward()
        sgd.step(1.0)
    model(images)
    return {name: float((seen[name] - before[name]).abs().mean()) for name in layers}


def slopes(parametrization: str) -> dict[str, float]:
    widths = np.array([8, 16, 32, 64, 128])
    changes = [activations(parametrization, int(width)) for width in widths]
    return {
        name: float(np.polyfit(np.log(widths), np.log([c[name] for c in changes]), 1)[0])
        for name in changes[0]
    }


def test_coordinate_check() -> None:
    """Yang et al. 2022, appendix D.1: in µP no layer's change grows with the width."""
    flat, steep = slopes("mup"), slopes("standard")
    assert max(map(abs, flat.values())) < 0.2, flat
    assert min(steep.values()) > 0.35, steep
