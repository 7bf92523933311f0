"""Crops and flips: what they may do, and whose random numbers they use."""

from __future__ import annotations

import pytest
import torch

from proxyscale.vision.augmentation import augment

PADDED = {"pad": 2, "flip": True}
RESIZED = {"scale": [0.25, 1.0], "flip": True}


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_padded_crops_are_windows_perhaps_mirrored() -> None:
    image = torch.arange(1.0, 26).view(5, 5, 1)
    padded = torch.zeros(9, 9, 1)
    padded[2:7, 2:7] = image
    windows = [padded[i : i + 5, j : j + 5] for i in range(5) for j in range(5)]
    known = {tuple(w.flatten().tolist()) for w in windows}
    mirrored = {tuple(w.flip(1).flatten().tolist()) for w in windows}
    found = augment(image.expand(1, 2000, 5, 5, 1), PADDED, generators(0))
    seen = {tuple(each.flatten().tolist()) for each in found[0]}
    assert seen == known | mirrored
    straight = augment(image.expand(1, 500, 5, 5, 1), PADDED | {"flip": False}, generators(0))
    assert {tuple(each.flatten().tolist()) for each in straight[0]} == known


@pytest.mark.parametrize("spec", [PADDED, RESIZED])
def test_a_models_images_depend_on_its_own_generator(spec: dict[str, object]) -> None:
    images = torch.rand(3, 4, 6, 6, 2)
    together = augment(images, spec, generators(7, 8, 9))
    alone = augment(images[1:2], spec, generators(8))
    torch.testing.assert_close(together[1:2], alone)


def test_resized_crops_of_a_ramp_are_ramps_within_it() -> None:
    ramp = torch.linspace(0, 1, 16).expand(1, 50, 16, 16)[..., None]
    found = augment(ramp, RESIZED, generators(0))
    assert found.shape == ramp.shape
    assert found.min() >= 0
    assert found.max() <= 1
    slopes = found[0, :, 8, 12, 0] - found[0, :, 8, 4, 0]
    assert (slopes < 0).any()  # mirrored
    assert (slopes > 0).any()
    assert slopes.abs().max() < 1.2 * 8 / 15  # a crop never shrinks what it shows
    assert slopes.abs().min() > 0.5 * 0.8 * 8 / 15
    assert (found.std(dim=2) < 1e-5).all()


def test_the_whole_area_at_its_own_ratio_is_the_image() -> None:
    images = torch.rand(1, 3, 8, 8, 1)
    chance = torch.full((3, 5), 0.5)
    from proxyscale.vision.augmentation import _resized_crop

    spec = {"scale": [1.0, 1.0], "flip": False}
    torch.testing.assert_close(_resized_crop(images[0], chance, spec), images[0])
