from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyscale.training import matmul

SIDES = st.integers(1, 40)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["always", "never"], autouse=True)
def onednn(request, monkeypatch):
    """Every product by oneDNN, where this CPU has what it takes, or none."""
    monkeypatch.setattr(matmul, "SMALLEST", 0 if request.param == "always" else 1 << 62)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, SIDES, st.booleans())
def test_products_equal_those_in_float64(n, p, q, turned):
    left, right = numbers(n, p), numbers(q, p, seed=1)
    if turned:
        right = right.t().contiguous().t()
    close(matmul.linear(left, right), left.double() @ right.double().t())
    right = numbers(n, q, seed=1)
    close(matmul.transposed_times(left, right), left.double().t() @ right.double())


@pytest.mark.parametrize("shape", [(5, 6), (6, 5), (5, 5)])
def test_a_product_lies_along_its_longer_side(shape):
    product = matmul.transposed_times(numbers(7, shape[0]), numbers(7, shape[1]))
    assert product.shape == shape
    assert (product.t() if shape[0] > shape[1] else product).is_contiguous()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=2), SIDES, SIDES, st.booleans())
def test_linear_and_its_gradients_equal_torchs(rows, width, height, biased):
    inputs, weight = numbers(*rows, width), numbers(height, width, seed=1)
    leaves = [inputs, weight, *([numbers(height, seed=2)] if biased else [])]
    outer = numbers(*rows, height, seed=3)
    found, expected = (
        ((value := map_by(*parts)), *torch.autograd.grad(value, parts, outer.to(value)))
        for map_by, parts in (
            (matmul.linear, [leaf.clone().requires_grad_() for leaf in leaves]),
            (F.linear, [leaf.double().requires_grad_() for leaf in leaves]),
        )
    )
    for mine, theirs in zip(found, expected, strict=True):
        close(mine, theirs.detach())


def test_only_what_is_asked_for_is_differentiated():
    inputs, weight = numbers(4, 3).requires_grad_(), numbers(5, 3, seed=1)
    matmul.linear(inputs, weight).sum().backward()
    close(inputs.grad, weight.double().sum(0).expand(4, 3))
    assert not matmul.linear(inputs.detach(), weight).requires_grad


def test_other_types_and_autocast_are_left_to_torch():
    layer = matmul.Linear(3, 5).double()
    assert layer(numbers(2, 3).double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert matmul.Linear(3, 5)(numbers(2, 3)).dtype == torch.bfloat16


def test_onednn_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(matmul, "_onednn", lambda *arguments: pytest.fail("oneDNN was called"))
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        matmul.linear(numbers(4, 3), numbers(5, 3, seed=1))
        matmul.transposed_times(numbers(4, 3), numbers(4, 5))


def test_a_compiler_sees_torchs_own_operator():
    torch._dynamo.reset()
    compiled = torch.compile(matmul.Linear(3, 5), backend="eager", fullgraph=True)
    assert compiled(numbers(2, 3)).shape == (2, 5)
