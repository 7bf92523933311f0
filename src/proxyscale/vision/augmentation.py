"""Random crops and flips, for several models at once and each by its own random numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def augment(
    images: Tensor, spec: Mapping[str, Any], generators: Iterable[torch.Generator]
) -> Tensor:
    """Augmented images [models, batch, H, W, colors], each model's by its own generator.

    `spec`: either `pad`, pixels of zeros added on each side before a crop to the old size (He et
    al., arXiv 1512.03385, section 4.2), or `scale`, [least, largest] share of the area for a random
    resized crop of aspect ratio 3/4 to 4/3 (Szegedy et al., arXiv 1409.4842, section 6); and
    `flip`, whether half of the images are mirrored.
    """
    draws = [torch.rand(images.shape[1], 5, generator=generator) for generator in generators]
    chance = torch.cat(draws).to(images.device)
    crop = _resized_crop if "scale" in spec else _padded_crop
    return crop(images.flatten(0, 1), chance, spec).view_as(images)


def _padded_crop(images: Tensor, chance: Tensor, spec: Mapping[str, Any]) -> Tensor:
    """Crop and flip as one gather: images [n, H, W, colors], chance [n, 5] in [0, 1)."""
    pad, (height, width) = spec["pad"], images.shape[1:3]
    padded = functional.pad(images, (0, 0, pad, pad, pad, pad))
    offsets = (chance[:, :2] * (2 * pad + 1)).long()
    rows = torch.arange(height, device=images.device) + offsets[:, :1]
    columns = torch.arange(width, device=images.device) + offsets[:, 1:]
    if spec["flip"]:
        columns = torch.where(chance[:, 4:] < 0.5, columns.flip(1), columns)
    first = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[first, rows[:, :, None], columns[:, None, :]]


def _resized_crop(images: Tensor, chance: Tensor, spec: Mapping[str, Any]) -> Tensor:
    """A random box of each image, resized bilinearly to the image's own size, and flipped."""
    least, largest = spec["scale"]
    area = least + (largest - least) * chance[:, 2]
    aspect = torch.exp((2 * chance[:, 3] - 1) * math.log(4 / 3))
    sizes = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=1).clamp(max=1)
    centers = (1 - sizes) * (2 * chance[:, :2] - 1)
    if spec["flip"]:
        mirror = torch.where(chance[:, 4] < 0.5, -1.0, 1.0)
        sizes = torch.stack([sizes[:, 0] * mirror, sizes[:, 1]], dim=1)
    theta = torch.cat([torch.diag_embed(sizes), centers[:, :, None]], dim=2)
    planes = images.permute(0, 3, 1, 2)
    grid = functional.affine_grid(theta, list(planes.shape), align_corners=False)
    cut = functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    return cut.permute(0, 2, 3, 1).contiguous()
