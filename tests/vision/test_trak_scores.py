"""TRAK's formulas against each other, against plain linear algebra and against `traker`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import image_memory
from torch import Tensor

from proxyscale.attribution import trak
from proxyscale.attribution.projection import Projection
from proxyscale.vision import resnet
from proxyscale.vision.batches import Batches, side_by_side
from proxyscale.vision.features import Gradients, features
from proxyscale.vision.images import Images
from proxyscale.vision.trak_scores import score

MODEL = image_memory.MODEL | {"blocks": [1, 1]}
SPEC = {"projection": None, "ridge": 0.3, "seed": 0}


def random_images(count: int, seed: int) -> Batches:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    labels = rng.integers(0, 3, count)
    return Batches(Images(pixels, labels, ["a", "b", "c"], [128.0], [70.0]))


def random_state(seed: int) -> resnet.State:
    """A state with nothing left at zero or one, as after training."""
    generator = torch.Generator().manual_seed(seed)
    (state,) = resnet.unstack(resnet.build(MODEL, [seed]).state_dict(), 1)
    return {
        name: value + 0.2 * torch.rand(value.shape, generator=generator)
        for name, value in state.items()
    }


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(1, 12), st.integers(0, 5), st.floats(0.01, 10))
def test_primal_and_dual_agree(n: int, more: int, seed: int, ridge: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    train, test = (torch.randn(rows, n + more, generator=generator) for rows in (n, 3))
    primal = trak.primal_scores(lambda: [train], test, ridge=ridge)
    dual = trak.dual_scores(train @ train.T, test @ train.T, ridge=ridge, dimensions=n + more)
    torch.testing.assert_close(primal, dual, rtol=1e-3, atol=1e-5)


def test_scores_are_ridge_regression() -> None:
    """φ(z)ᵀ(ΦᵀΦ + λI)⁻¹Φᵀ y is the prediction of a ridge regression of y, for any y."""
    rng = np.random.default_rng(0)
    train, test, y = rng.normal(size=(30, 7)), rng.normal(size=(4, 7)), rng.normal(size=30)
    penalty = 0.3 * np.linalg.eigvalsh(train.T @ train).mean()
    linear = pytest.importorskip("sklearn.linear_model")
    fitted = linear.Ridge(alpha=penalty, fit_intercept=False).fit(train, y)
    scores = trak.primal_scores(lambda: [torch.from_numpy(train)], torch.from_numpy(test))
    np.testing.assert_allclose(scores.numpy() @ y, fitted.predict(test), rtol=1e-10)


def test_the_largest_score_is_the_example_that_helps_most() -> None:
    """In a linear model, adding the target's own example raises its output."""
    target = torch.tensor([[1.0, 0.0, 0.0]])
    train = torch.cat([target, -target, torch.eye(3)[1:]])
    scores = trak.primal_scores(lambda: [train], target)[0]
    assert scores.argmax() == 0
    assert scores.argmin() == 1


@pytest.mark.parametrize("block", [1, 4, 7, 50])
def test_blocks_do_not_matter(block: int) -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randn(rows, 20, generator=generator) for rows in (11, 9))
    kernel, crosses = trak.inner_products(
        train.__getitem__, 11, {"t": (test.__getitem__, 9)}, block=block
    )
    torch.testing.assert_close(kernel, train @ train.T)
    torch.testing.assert_close(crosses["t"], test @ train.T)


def test_average_keeps_q_apart() -> None:
    scores, residuals = torch.rand(3, 2, 5), torch.rand(3, 5)
    torch.testing.assert_close(trak.average(scores), scores.sum(0) / 3)
    expected = scores.mean(0) * residuals.mean(0)
    torch.testing.assert_close(trak.average(scores, residuals), expected)


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_gradients_are_those_of_single_examples(batch: int) -> None:
    images, state = random_images(10, 0), random_state(1)
    found = Gradients(MODEL, state, batch).whole(images, slice(2, 9))
    model = resnet.restore(MODEL, [state]).requires_grad_(True)
    for row, gradient in zip(range(2, 9), found, strict=True):
        pixels, label = images(slice(row, row + 1))
        probability = model(side_by_side(pixels[None]))[0, 0].softmax(0)[label[0]]
        output = torch.log(probability / (1 - probability))
        own = torch.autograd.grad(output, list(model.parameters()))
        expected = torch.cat([each.flatten() for each in own])
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_projection_foretells_the_exact_scores(tmp_path: Path) -> None:
    state, train, test = random_state(0), random_images(40, 0), random_images(8, 1)
    exact = score(MODEL, state, train, {"t": test}, SPEC, tmp_path)["t"]
    wide = score(MODEL, state, train, {"t": test}, SPEC | {"projection": 4096}, tmp_path)["t"]
    assert np.corrcoef(exact.flatten(), wide.flatten())[0, 1] > 0.97
    assert list(tmp_path.iterdir()) == []


def test_projected_gradients_are_the_projection_of_gradients() -> None:
    images, gradients = random_images(5, 0), Gradients(MODEL, random_state(0), 3)
    projection = Projection(64, 0)
    total = projection.start(5)
    whole, start = gradients.whole(images, slice(0, 5)), 0
    for name, parameter in gradients.parameters.items():
        size = parameter.numel() // 3
        projection.add(total, name, whole[:, start : start + size])
        start += size
    found = torch.cat(list(gradients.projected(images, projection)))
    torch.testing.assert_close(found, projection.finish(total))


def test_features_are_what_the_readout_sees() -> None:
    images, state = random_images(7, 0), random_state(0)
    model = resnet.restore(MODEL, [state])
    logits = model(side_by_side(images(slice(0, 7))[0][None]))[0]
    found = model.readout(features(MODEL, state, images)[None])[0]
    torch.testing.assert_close(found, logits)


class Plain(torch.nn.Module):
    """A network alone, with logits [batch, classes]."""

    def __init__(self, model: resnet.ResNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [0, 1])
def test_traker_gives_the_same_scores(tmp_path: Path, seed: int) -> None:
    """With Q, up to the scale: `traker` divides each model's inverse by its mean entry."""
    package = pytest.importorskip("trak")
    projectors = pytest.importorskip("trak.projectors")
    train, test, state = random_images(24, 0), random_images(5, 1), random_state(seed)
    scores = score(MODEL, state, train, {"t": test}, SPEC, tmp_path)["t"]
    gradients = Gradients(MODEL, state, 8).whole(train, slice(0, 24))
    network = Plain(resnet.restore(MODEL, [state]).requires_grad_(True))
    traker = package.TRAKer(
        model=network,
        task="image_classification",
        train_set_size=24,
        save_dir=str(tmp_path),
        device="cpu",
        projector=projectors.NoOpProjector(device="cpu"),
        use_half_precision=False,
        # Its gradients are divided by the root of their number.
        lambda_reg=0.3 * float((gradients**2).mean(1).mean()),
    )
    (images, labels), (asked, answers) = train(slice(0, 24)), test(slice(0, 5))
    traker.load_checkpoint(network.state_dict(), model_id=0)
    traker.featurize(batch=(images.permute(0, 3, 1, 2), labels), num_samples=24)
    traker.finalize_features()
    traker.start_scoring_checkpoint("t", network.state_dict(), model_id=0, num_targets=5)
    traker.score(batch=(asked.permute(0, 3, 1, 2), answers), num_samples=5)
    theirs = torch.from_numpy(np.array(traker.finalize_scores("t"))).T
    residuals = 1 - network(images.permute(0, 3, 1, 2)).softmax(1)[torch.arange(24), labels]
    ours = trak.average(scores[None], residuals.detach()[None])
    torch.testing.assert_close(ours / ours.norm(), theirs / theirs.norm(), rtol=1e-2, atol=1e-4)
