"""From the bytes of an image file, or an array, to pixels of the size and colors wanted."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from proxyscale.vision.readers import Pixels


def decode(image: Pixels | bytes, size: int | None, colors: int | None) -> Pixels:
    """Pixels [H, W, colors] u8: averaged to a square of `size` after cutting the longer side.

    Without `size` or `colors` (1 or 3) the image's own. ValueError if the bytes are no image.
    """
    try:
        source = io.BytesIO(image) if isinstance(image, bytes) else None
        picture = Image.open(source) if source else Image.fromarray(np.squeeze(image))
        mode = {1: "L", 3: "RGB", None: "L" if picture.mode in ("1", "L", "I", "I;16") else "RGB"}
        picture = picture.convert(mode[colors])
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"not an image: {error}") from None
    if size and picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BOX)
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
