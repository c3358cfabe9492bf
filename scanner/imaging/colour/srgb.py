"""Converts pixels of another colour space to sRGB, as a screen would show them: relative colorimetric, clipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

Array = NDArray[np.float64]
# Function from code values (0..1) to linear light (0..1), of any shape.
Curve = Callable[[Array], Array]

# XYZ of the white that ICC profiles refer to (ICC.1:2022, 7.2.16).
D50 = np.array([0.9642, 1.0, 0.8249])
# Chromaticities (x, y) of red, green, blue and white (IEC 61966-2-1).
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
# K. M. Lam's cone responses ("Bradford"; ICC.1:2022, annex E).
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Pixels that are converted at once: their buffers fit into a processor's cache.
_STRIP_PIXELS = 2**17
_MAX_16_BITS = 65_535
# Levels of 255 by which a conversion that changes the picture drastically moves colours on average. ProPhoto RGB moves
# them by 25, linear light by 44; red and green exchanged by 60.
_DRASTIC_SHIFT = 55


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """A colour space, as a conversion to sRGB: by curves and a matrix, or by a table.

    Attributes:
        channels: `RGB`, `GRAY` or `CMYK`: which pixels the space is for.
        curves: curves of red, green and blue; three equal ones for grey.
        matrix: from linear light to linear light of sRGB, float64 (3, 3).
        table: a transform of LittleCMS, instead of curves and matrix.
    """

    channels: str
    curves: tuple[Curve, Curve, Curve] | None = None
    matrix: Array | None = None
    table: ImageCmsTransform | None = None


def colorants(primaries: Sequence[tuple[float, float]]) -> Array:
    """Compute the matrix, float64 (3, 3), from linear light to XYZ, adapted to D50.

    Args:
        primaries: chromaticities (x, y) of red, green, blue and white.

    Raises:
        ValueError: the primaries make no colour space.
    """
    points = np.array(primaries, np.float64)
    if not (points[:, 1] > 0).all():
        raise ValueError("a primary without light")
    xyz = np.stack([points[:, 0], points[:, 1], 1 - points.sum(axis=1)]) / points[:, 1]
    try:
        primary, white = xyz[:, :3], xyz[:, 3]
        adapt = np.linalg.solve(_BRADFORD, np.diag(_BRADFORD @ D50 / (_BRADFORD @ white)) @ _BRADFORD)
        return np.asarray(adapt @ (primary * np.linalg.solve(primary, white)))
    except np.linalg.LinAlgError as error:
        raise ValueError("primaries on one line") from error


_FROM_XYZ = np.linalg.inv(colorants(SRGB))


def rgb_space(matrix: Array, curves: tuple[Curve, Curve, Curve]) -> Space:
    """Build a space from three curves and a matrix from linear light to XYZ, adapted to D50."""
    return Space("RGB", curves, _FROM_XYZ @ matrix)


def grey_space(curve: Curve) -> Space:
    """Build a space from one curve; grey stays neutral."""
    return Space("GRAY", (curve, curve, curve), np.eye(3))


def srgb_curve(code: Array) -> Array:
    """Compute the linear light of sRGB codes (IEC 61966-2-1)."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def power_curve(exponent: float) -> Curve:
    """Build the curve of a power. Black stays black, even with the exponent 0."""
    return lambda code: np.where(code > 0, np.power(code, exponent), 0)


def _srgb_codes() -> NDArray[np.uint8]:
    """Compute the 8-bit sRGB code of every linear light of 16 bits, uint8 (65536,)."""
    light = np.arange(_MAX_16_BITS + 1) / _MAX_16_BITS
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * code).round().astype(np.uint8)


_SRGB_CODES = _srgb_codes()


def to_srgb(pixels: NDArray[Any], space: Space, bgr: bool) -> NDArray[np.uint8]:
    """Convert the colours of a picture to sRGB; alpha is copied.

    Args:
        pixels: (height, width, 3 or 4), uint8 or uint16; three equal channels for grey.
        space: of the pixels; not CMYK.
        bgr: whether blue is the first channel.

    Returns:
        uint8 in the same layout.
    """
    if space.table is not None:
        return _convert_by_table(pixels, space, bgr)
    assert space.curves is not None
    assert space.matrix is not None
    deep, channels = pixels.dtype == np.uint16, pixels.shape[2]
    codes = np.linspace(0, 1, _MAX_16_BITS + 1 if deep else 256)
    order = [2, 1, 0] if bgr else [0, 1, 2]
    lights = np.zeros((1, len(codes), channels), np.uint16)  # with a column for alpha, which the matrix ignores
    for place, curve in enumerate(order):
        lights[0, :, place] = (_MAX_16_BITS * np.clip(space.curves[curve](codes), 0, 1)).round()
    matrix = np.zeros((3, channels), np.float32)
    matrix[:, :3] = space.matrix[np.ix_(order, order)]
    out = _allocate_with_alpha(pixels)
    rows = max(1, _STRIP_PIXELS // pixels.shape[1])
    for start in range(0, pixels.shape[0], rows):
        light = cv2.transform(cv2.LUT(pixels[start : start + rows], lights), matrix)
        out[start : start + rows, :, :3] = cv2.LUT(light, _SRGB_CODES)
    return out


def _convert_by_table(pixels: NDArray[Any], space: Space, bgr: bool) -> NDArray[np.uint8]:
    """Convert as `to_srgb` does, by the table of a space, through LittleCMS.

    Args:
        pixels: (height, width, 3 or 4), uint8 or uint16.
        space: of the pixels, with a table.
        bgr: whether blue is the first channel.
    """
    from PIL import Image, ImageCms

    assert space.table is not None
    out = _allocate_with_alpha(pixels)
    colour = pixels[:, :, 2::-1] if bgr else pixels[:, :, :3]
    if pixels.dtype == np.uint16:
        colour = cv2.convertScaleAbs(np.ascontiguousarray(colour), alpha=255 / _MAX_16_BITS)
    source = Image.fromarray(np.ascontiguousarray(colour[:, :, 0] if space.channels == "GRAY" else colour))
    converted = np.asarray(ImageCms.applyTransform(source, space.table))
    out[:, :, :3] = converted[:, :, ::-1] if bgr else converted
    return out


def _allocate_with_alpha(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Allocate the result of a conversion: uint8 of the same shape, with a copy of the alpha."""
    out = np.empty(pixels.shape, np.uint8)
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3]
        out[:, :, 3] = alpha if pixels.dtype == np.uint8 else cv2.convertScaleAbs(alpha, alpha=255 / _MAX_16_BITS)
    return out


def is_srgb(space: Space) -> bool:
    """Tell whether a space of grey or RGB is sRGB, as most embedded profiles are, to within one level of 255.

    The conversion decides, not the name: profiles of sRGB have hundreds of names.
    """
    return _shift(space)[1] <= 1


def is_drastic(space: Space) -> bool:
    """Tell whether the picture looks quite different without the conversion: a negative, or with exchanged channels."""
    return _shift(space)[0] > _DRASTIC_SHIFT


@lru_cache(maxsize=64)
def _shift(space: Space) -> tuple[float, float]:
    """Measure by how many levels of 255 a conversion moves colours: mean and maximum."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    if space.channels == "GRAY":
        chart = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    else:
        chart = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
    moved = cv2.absdiff(to_srgb(chart, space, bgr=False), chart)
    return float(moved.mean()), float(moved.max())
