from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from proxyscale.attribution.projection import RUN, Projection


def project(gradients: dict[str, torch.Tensor], dimension: int, seed: int = 0) -> torch.Tensor:
    projection = Projection(dimension, seed)
    total = projection.start(len(next(iter(gradients.values()))))
    for name, gradient in gradients.items():
        projection.add(total, name, gradient)
    return projection.finish(total)


def matrix(size: int, dimension: int, name: str = "w", seed: int = 0) -> torch.Tensor:
    """The projection of the unit vectors: [size, dimension]."""
    return project({name: torch.eye(size)}, dimension, seed)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200), st.sampled_from([1, 3, 64, 500]))
def test_every_parameter_has_one_bucket_and_a_sign(size, dimension):
    rows = matrix(size, dimension)
    assert torch.equal(rows.abs().sum(1), torch.ones(size))
    assert torch.equal(rows.abs().amax(1), torch.ones(size))


def test_runs_longer_than_the_accumulator_wrap_around(monkeypatch):
    monkeypatch.setattr("proxyscale.attribution.projection.RUN", 8)
    rows = matrix(150, 8)
    assert torch.equal(rows.abs().sum(1), torch.ones(150))
    buckets = rows.abs().argmax(1)
    assert torch.equal(torch.bincount(buckets[:144], minlength=8), torch.full((8,), 18))
    starts = buckets[:144:8]
    assert len(set(starts.tolist())) > 3
    assert abs(rows.sum().item()) < 4 * 150**0.5


def test_it_is_linear_and_sums_over_names():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(3, 70, generator=generator) for _ in range(2))
    both = project({"a": a, "b": b}, 32)
    torch.testing.assert_close(both, project({"a": a}, 32) + project({"b": b}, 32))
    torch.testing.assert_close(
        project({"a": a + b}, 32), project({"a": a}, 32) + project({"a": b}, 32)
    )
    torch.testing.assert_close(both, torch.cat([a @ matrix(70, 32, "a")]) + b @ matrix(70, 32, "b"))


def test_seeds_and_names_differ_and_calls_do_not():
    assert torch.equal(matrix(60, 16), matrix(60, 16))
    assert not torch.equal(matrix(60, 16), matrix(60, 16, seed=1))
    assert not torch.equal(matrix(60, 16), matrix(60, 16, name="v"))


def test_inner_products_are_unbiased():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 400, generator=generator)
    products = []
    for seed in range(400):
        features = project({"w": x[:, :250], "v": x[:, 250:]}, 32, seed)
        products.append((features[0] @ features[1]).item())
    exact = (x[0] @ x[1]).item()
    spread = (x[0].norm() * x[1].norm() / 32**0.5).item()
    assert np.mean(products) == pytest.approx(exact, abs=3.5 * spread / 400**0.5)
    assert np.std(products) < 1.25 * spread


def test_inner_products_are_kept_as_well_as_by_a_dense_matrix():
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(8, 3 * RUN, generator=generator)
    scale = torch.rand(3 * RUN, generator=generator) ** 4
    mixed = torch.randn(60, 8, generator=generator) @ common
    x = (mixed + torch.randn(mixed.shape, generator=generator)) * scale
    pairs = np.triu_indices(60, 1)

    def kept(features: torch.Tensor) -> float:
        exact, found = ((y @ y.T).numpy()[pairs] for y in (x, features))
        return spearmanr(exact, found).statistic

    dense = [
        kept(x @ torch.randn(x.shape[1], 512, generator=torch.Generator().manual_seed(seed)))
        for seed in range(3)
    ]
    ours = [kept(project({"w": x.view(60, -1, 64)}, 512, seed)) for seed in range(3)]
    assert np.mean(ours) > np.mean(dense) - 0.01
