"""Pixels as they look, whatever the file holds; what cannot be known is dropped by its reason."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from proxyscale.vision.decoding import LARGEST, decode

RNG = np.random.default_rng(0)
COLORED = RNG.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


def test_averaging_to_a_smaller_square() -> None:
    small = decode(COLORED[0], 16, None)
    means = COLORED[0].astype(float).reshape(16, 2, 16, 2, 3).mean((1, 3))
    assert np.abs(small - means).max() <= 1
    assert decode(COLORED[0][:, :20], 16, 1).shape == (16, 16, 1)
    with pytest.raises(ValueError, match="not an image"):
        decode(b"no image", None, None)


def encoded(picture: Image.Image, format: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


DEEP = [("png", np.uint16), ("tiff", np.uint16), ("ppm", np.uint16)]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(DEEP), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_16_bits_are_scaled(kind: tuple[str, Any], high: int, wide: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 65536, (high, wide), dtype=np.uint16)
    found = decode(encoded(Image.fromarray(values), kind[0]), None, None)[:, :, 0]
    np.testing.assert_array_equal(found, np.round(values / 257).astype(np.uint8))


def test_a_ramp_keeps_its_mean_and_its_levels() -> None:
    grey = np.linspace(0, 65535, 4096).reshape(64, 64).astype(np.uint16)
    found = decode(encoded(Image.fromarray(grey)), None, None)
    assert found.mean() == pytest.approx(127.5, abs=0.1)
    floats = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)
    found = decode(encoded(Image.fromarray(floats), "tiff"), None, None)
    assert len(np.unique(found)) == 256
    np.testing.assert_array_equal(found[:, :, 0], np.round(floats * 255).astype(np.uint8))


@pytest.mark.parametrize("value", [-0.1, 1.1, 255.0, np.nan, np.inf])
def test_floats_of_unknown_range_are_dropped(value: float) -> None:
    image = Image.fromarray(np.full((3, 3), value, np.float32))
    with pytest.raises(ValueError, match="floats outside 0 to 1"):
        decode(encoded(image, "tiff"), None, None)


def test_16_bits_that_count_from_white() -> None:
    values = np.array([[0, 65535, 257]], np.uint16)
    data = encoded(Image.fromarray(values), "tiff", tiffinfo={262: 0})
    assert decode(data, None, None)[0, :, 0].tolist() == [255, 0, 254]


@pytest.mark.parametrize("colors", [1, 3, None])
def test_palettes(colors: int | None) -> None:
    picture = Image.fromarray(COLORED[0]).quantize(8)
    expected = np.asarray(picture.convert("RGB").convert("L" if colors == 1 else "RGB"))
    found = decode(encoded(picture), None, colors)
    np.testing.assert_array_equal(found.squeeze(), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_alpha_lies_over_white(mode: str) -> None:
    """A pixel without opacity is white, whatever color it hides; half of it is half way there."""
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = [0, 255, 128]
    picture = Image.fromarray(pixels)
    if mode == "P":
        picture = Image.new("P", (3, 1))
        picture.putpalette([0, 0, 0, 0, 0, 0, 127, 127, 127])
        picture.putdata([0, 1, 2])
        data = encoded(picture, transparency=0)
    else:
        data = encoded(picture.convert(mode))
    found = decode(data, None, None)
    assert found.shape[2] == {"LA": 1}.get(mode, 3)
    assert found[0, :, 0].tolist() == [255, 0, 127]


def test_cmyk_is_what_pillow_shows() -> None:
    picture = Image.fromarray(COLORED[0]).convert("CMYK")
    data = encoded(picture, "jpeg", quality=100)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decode(data, None, None), expected)


TURNS = {1: lambda p: p, 3: lambda p: p[::-1, ::-1], 6: lambda p: np.rot90(p, -1)}
TURNS |= {2: lambda p: p[:, ::-1], 4: lambda p: p[::-1], 8: lambda p: np.rot90(p)}
TURNS |= {5: lambda p: p.swapaxes(0, 1), 7: lambda p: np.rot90(p, 2).swapaxes(0, 1)}


@pytest.mark.parametrize("orientation", sorted(TURNS))
def test_exif_turns_the_image(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    stored = COLORED[0][:, :20]
    found = decode(encoded(Image.fromarray(stored), exif=exif), None, None)
    np.testing.assert_array_equal(found, TURNS[orientation](stored))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([None, 1, 3, 4]), st.integers(0, 9))
def test_arrays_are_taken_as_they_are(high: int, wide: int, last: int | None, seed: int) -> None:
    shape = (high, wide) if last is None else (high, wide, last)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    if last == 4:
        pixels[:, :, 3] = 255
    found = decode(pixels, None, None)
    expected = pixels[:, :, None] if last is None else pixels[:, :, :3]
    np.testing.assert_array_equal(found, expected)
    assert decode(pixels, 5, 3).shape == (5, 5, 3)


def test_other_colors_are_dropped() -> None:
    with pytest.raises(ValueError, match="neither 1, 3 nor 4 colors"):
        decode(np.zeros((3, 3, 2), np.uint8), None, None)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("side", [9_000, 30_000, 60_000])
def test_huge_images_are_dropped_by_their_header(tmp_path: Path, side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))
    (tmp_path / "a.png").write_bytes(data + chunk(b"IEND", b""))
    for image in (data, tmp_path / "a.png"):
        with pytest.raises(ValueError, match=f"above {LARGEST:,} pixels"):
            decode(image, 8, 3)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["png", "jpeg", "bmp", "webp", "gif", "tiff", "ppm"]), st.data())
def test_broken_bytes_are_an_image_or_none(format: str, data: st.DataObject) -> None:
    """Cut or overwritten anywhere: pixels of the size wanted, or a ValueError."""
    content = bytearray(encoded(Image.fromarray(COLORED[0]), format))
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + 4] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(ValueError):
        found = decode(bytes(content[: data.draw(st.integers(0, len(content)))]), 8, 3)
        assert found.shape == (8, 8, 3)
