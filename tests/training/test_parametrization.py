"""µP across widths (mup's coordinate check), base shapes, and AdamW against torch's."""

from __future__ import annotations

import functools

import mup
import numpy as np
import pytest
import torch
from mup import coord_check
from torch import nn

from proxyscale.base.errors import UserError
from proxyscale.training import gpt, language_model, parametrization

WIDTHS = (64, 128, 256, 512)
LOGITS = ""  # what the model as a whole gives
MODEL = {
    "vocabulary": 32,
    "context": 16,
    "width": 64,
    "layers": 2,
    "heads": None,
    "mlp_ratio": 4,
    "bias": False,
    "tied": False,
    "parametrization": "mup",
    "base_width": 64,
}
TRAINING = {
    "learning_rate": 1e-2,
    "hidden_learning_rate": 1e-2,
    "weight_decay": 0.0,
    "betas": [0.9, 0.95],
    "eps": 1e-8,
}


class Trainer:
    """Our optimizer in the shape of torch's, for mup's coordinate check."""

    def __init__(self, model: language_model.LanguageModel) -> None:
        self.model = model
        self.inner = parametrization.optimizer(model, model.hidden_matrices(), TRAINING)

    def zero_grad(self) -> None:
        self.model.zero_grad()

    def step(self) -> None:
        self.inner.step()


def coordinate_slopes(kind: str) -> dict[str, float]:
    """Slope of log mean |activation| over log width after three steps, by module."""
    tokens = torch.randint(32, (8, 17), generator=torch.Generator().manual_seed(0))
    models = {
        width: functools.partial(
            language_model.build, {**MODEL, "width": width, "parametrization": kind}, 0
        )
        for width in WIDTHS
    }
    data = coord_check._get_coord_data(
        models,
        [(tokens[:, :-1], tokens[:, 1:].flatten())],
        Trainer,
        nsteps=4,
        flatten_output=True,
        cuda=False,
        show_progress=False,
    )
    last = data[(data.t == 4) & data.module.str.fullmatch("|.*(out|down|norm)")]
    return {
        module: np.polyfit(np.log2(rows.width), np.log2(rows.l1), 1)[0]
        for module, rows in last.groupby("module")
    }


def test_activations_keep_their_size_across_widths_under_mup() -> None:
    slopes = coordinate_slopes("mup")
    assert {LOGITS, "norm", "blocks.0.out", "blocks.1.down"} <= set(slopes)
    assert max(map(abs, slopes.values())) < 0.15, slopes


def test_activations_grow_with_the_width_under_the_standard_parametrization() -> None:
    slopes = coordinate_slopes("standard")
    for module in (LOGITS, "blocks.0.out", "blocks.1.down"):
        assert slopes[module] > 0.3, slopes


def test_base_shapes_tell_matrices_from_vectors() -> None:
    model = language_model.build({**MODEL, "width": 128})
    hidden = set(map(id, model.hidden_matrices()))
    for name, parameter in model.named_parameters():
        shape = parameter.infshape
        assert shape.shape() == list(parameter.shape), name
        assert shape.ninf() == (2 if id(parameter) in hidden else 1), name
        assert shape.width_mult() == 2, name


@pytest.mark.parametrize("kind", parametrization.PARAMETRIZATIONS)
def test_at_the_base_width_nothing_is_scaled(kind: str) -> None:
    model = language_model.build({**MODEL, "parametrization": kind})
    assert {parametrization.width_multiplier(p) for p in model.parameters()} == {1}


def test_the_standard_parametrization_has_no_dimension_that_grows() -> None:
    model = language_model.build({**MODEL, "width": 128, "parametrization": "standard"})
    assert {parameter.infshape.ninf() for parameter in model.parameters()} == {0}


def test_extrapolated_base_shapes_are_those_of_a_real_model() -> None:
    def make(width: int) -> nn.Module:
        return gpt.Gpt({**MODEL, "width": width, "heads": 1})

    assert parametrization.extrapolated(make, 64) == {
        name: list(shape) for name, shape in mup.get_shapes(make(64)).items()
    }


def test_unknown_parametrization_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="mup, standard"):
        language_model.build({**MODEL, "parametrization": "mu"})


def test_attention_scales_agree_at_sixteen_channels_a_head() -> None:
    assert parametrization.attention_scale(16, "mup") == 0.25
    assert parametrization.attention_scale(16, "standard") == 0.25
    assert parametrization.attention_scale(64, "mup") == 0.0625
    assert parametrization.attention_scale(64, "standard") == 0.125


@pytest.mark.parametrize("divisor", [1.0, 3.0])
def test_adamw_is_torchs_bit_for_bit(divisor: float) -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((7, 5), (64,), ())]
    ours = [nn.Parameter(tensor.clone()) for tensor in start]
    theirs = [nn.Parameter(tensor.clone()) for tensor in start]
    own = parametrization.AdamW(
        [
            {"params": ours[:2], "lr": 1e-2, "weight_decay": 0.1},
            {"params": [], "lr": 1.0, "weight_decay": 0.0},
            {"params": ours[2:], "lr": 3e-3, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
        eps=1e-8,
    )
    groups = [
        {"params": theirs[:2], "lr": 1e-2, "weight_decay": 0.1},
        {"params": theirs[2:], "lr": 3e-3, "weight_decay": 0.0},
    ]
    oracle = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8, fused=True)
    rates = [group["lr"] for group in oracle.param_groups]
    for step in range(20):
        for mine, other in zip(ours, theirs, strict=True):
            gradient = torch.randn(mine.shape, generator=generator)
            mine.grad, other.grad = gradient.clone(), gradient / divisor
        factor = 1 - step / 25
        for group, rate in zip(oracle.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        own.step(factor, torch.tensor(divisor))
        oracle.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("width", [64, 256])
def test_learning_rates_follow_the_width_and_weight_decay_does_not(width: int) -> None:
    model = language_model.build({**MODEL, "width": width}, seed=0)
    training = {**TRAINING, "hidden_learning_rate": 4e-3, "weight_decay": 0.5}
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = parametrization.optimizer(model, model.hidden_matrices(), training)
    rates = {
        id(parameter): group.rate for group in optimizer.groups for parameter in group.parameters
    }
    for name, parameter in model.named_parameters():
        hidden = name.startswith("blocks") and "norm" not in name
        assert rates[id(parameter)] == pytest.approx(4e-3 * 64 / width if hidden else 1e-2)
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * 0.5)
