"""From the bytes of an image file, or an array, to pixels of the size and colors wanted.

What is kept is what the image looks like: 16 bits and floats are scaled, not clipped; palettes,
CMYK and alpha (over white) are resolved; EXIF's orientation is applied. A file is decoded only if
its header promises no more pixels than memory has room for.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

Pixels = NDArray[np.uint8]

LARGEST = 1 << 26  # pixels of an image that is decoded; PIL warns above 89 million
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")  # no other decoder is opened
DEEP = ("I", "F")  # modes of more than 8 bits, and I;16 in any byte order
WHITE_IS_ZERO = 0


def decode(image: Pixels | bytes | Path, size: int | None, colors: int | None) -> Pixels:
    """Pixels [H, W, colors] u8: averaged to a square of `size` after cutting the longer side.

    `image`: pixels u8 [H, W] or [H, W, 1, 3 or 4], the bytes of an image file, or its path. Without
    `size` or `colors` (1 or 3) the image's own. ValueError, whose text is one of a few reasons, if
    it is none, too large, or of values whose meaning is not known.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken EXIF and the like: the image itself is whole
        picture = _plain(_opened(image))
    wanted = {1: "L", 3: "RGB", None: picture.mode}[colors]
    picture = picture.convert(wanted)
    if size and picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BOX)
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _opened(image: Pixels | bytes | Path) -> Image.Image:
    """The image, decoded and upright."""
    if isinstance(image, np.ndarray):
        return _of_array(image)
    file = io.BytesIO(image) if isinstance(image, bytes) else image
    try:
        with Image.open(file, formats=FORMATS) as p:
            if p.width * p.height > LARGEST:
                raise _TooLarge
            inverted = _white_is_zero(p)
            picture = ImageOps.exif_transpose(p)
    except (_TooLarge, Image.DecompressionBombError):
        raise ValueError(f"above {LARGEST:,} pixels") from None
    except (PermissionError, FileNotFoundError):
        raise ValueError("cannot be opened") from None
    except Exception:  # decoders raise a dozen families of errors on broken bytes
        raise ValueError("not an image") from None
    return Image.fromarray(65535 - _sixteen(np.asarray(picture))) if inverted else picture


class _TooLarge(Exception):
    """More pixels than are decoded."""


def _of_array(pixels: Pixels) -> Image.Image:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if not pixels.size or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ValueError("neither 1, 3 nor 4 colors")
    if pixels.shape[0] * pixels.shape[1] > LARGEST:
        raise ValueError(f"above {LARGEST:,} pixels")
    return Image.fromarray(np.ascontiguousarray(pixels))


def _white_is_zero(picture: Image.Image) -> bool:
    """Whether a TIFF of 16 bits counts from white, which PIL minds in images of 8 bits alone."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return False
    photometric = picture.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
    return photometric == WHITE_IS_ZERO and picture.mode.startswith("I;16")


def _plain(picture: Image.Image) -> Image.Image:
    """The image in 8 bits, grey or RGB."""
    if picture.mode in DEEP or picture.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(picture)))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        grey = picture.mode in ("LA", "L", "1")
        return Image.alpha_composite(white, seen).convert("L" if grey else "RGB")
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    if picture.mode in ("P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"):
        return picture.convert("RGB")
    raise ValueError(f"colors of mode {picture.mode}")


def _eight_bits(values: NDArray[Any]) -> Pixels:
    """Floats of 0 to 1, or integers of 16 bits, scaled to 0 to 255 and rounded."""
    if values.dtype.kind == "f":
        if not (values.min() >= 0 and values.max() <= 1):  # NaN is neither
            raise ValueError("floats outside 0 to 1")
        return np.round(values * 255).astype(np.uint8)
    return np.round(_sixteen(values) * (255 / 65535)).astype(np.uint8)


def _sixteen(values: NDArray[Any]) -> NDArray[np.uint16]:
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("integers of more than 16 bits")
    return values.astype(np.uint16)
