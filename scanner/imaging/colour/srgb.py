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
# Code value, 0..1 -> linear light, 0..1.
Curve = Callable[[Array], Array]

# XYZ of the white that ICC profiles count from (ICC.1:2022, 7.2.16).
D50 = np.array([0.9642, 1.0, 0.8249])
# x and y of red, green, blue and white (IEC 61966-2-1).
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290))
# K. M. Lam's cone responses ("Bradford"; ICC.1:2022, annex E).
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Pixels that are converted at once: what they need fits into a processor's cache.
_STRIP = 2**17
_FULL = 65_535
_DRASTIC = 55


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """A colour space, and how to get from it to sRGB.

    Attributes:
        channels: `RGB`, `GRAY` or `CMYK`: what pixels must have.
        curves: of red, green and blue; those of a grey space are all the same.
        matrix: 3 x 3, linear light -> linear light of sRGB.
        table: a transform of LittleCMS, instead of curves and matrix.
    """

    channels: str
    curves: tuple[Curve, Curve, Curve] | None = None
    matrix: Array | None = None
    table: ImageCmsTransform | None = None


def colorants(primaries: Sequence[tuple[float, float]]) -> Array:
    """Compute the matrix from linear light to XYZ, adapted to D50.

    Args:
        primaries: x and y of red, green, blue and white.

    Raises:
        ValueError: there is no such matrix.
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
    """Make a space of three curves and a matrix from linear light to XYZ, adapted to D50."""
    return Space("RGB", curves, _FROM_XYZ @ matrix)


def grey_space(curve: Curve) -> Space:
    """Make a space of one curve: grey stays neutral."""
    return Space("GRAY", (curve, curve, curve), np.eye(3))


def srgb_curve(code: Array) -> Array:
    """Compute the linear light of sRGB codes (IEC 61966-2-1)."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def power_curve(exponent: float) -> Curve:
    """Make the curve of a gamma value: linear light is the code, 0..1, to the power of `exponent`."""
    return lambda code: np.where(code > 0, np.power(code, exponent), 0)  # black stays black, even to the power of 0


def _encoding() -> NDArray[np.uint8]:
    """Compute the sRGB code, 8 bits, of every linear light of 16 bits."""
    light = np.arange(_FULL + 1) / _FULL
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * code).round().astype(np.uint8)


_ENCODING = _encoding()


def to_srgb(pixels: NDArray[Any], space: Space, bgr: bool) -> NDArray[np.uint8]:
    """Convert a picture; its alpha, if it has one, stays.

    Args:
        pixels: (height, width, 3 or 4), uint8 or uint16; of a grey picture all channels are the same.
        space: theirs, not CMYK.
        bgr: whether blue comes first.

    Returns:
        The same layout in 8 bits.
    """
    if space.table is not None:
        return _by_table(pixels, space, bgr)
    assert space.curves is not None
    assert space.matrix is not None
    deep, channels = pixels.dtype == np.uint16, pixels.shape[2]
    codes = np.linspace(0, 1, _FULL + 1 if deep else 256)
    order = [2, 1, 0] if bgr else [0, 1, 2]
    lights = np.zeros((1, len(codes), channels), np.uint16)  # of alpha, too, which counts nothing
    for place, curve in enumerate(order):
        lights[0, :, place] = (_FULL * np.clip(space.curves[curve](codes), 0, 1)).round()
    matrix = np.zeros((3, channels), np.float32)
    matrix[:, :3] = space.matrix[np.ix_(order, order)]
    out = _alpha_kept(pixels)
    rows = max(1, _STRIP // pixels.shape[1])
    for start in range(0, pixels.shape[0], rows):
        light = cv2.transform(cv2.LUT(pixels[start : start + rows], lights), matrix)
        out[start : start + rows, :, :3] = cv2.LUT(light, _ENCODING)
    return out


def _by_table(pixels: NDArray[Any], space: Space, bgr: bool) -> NDArray[np.uint8]:
    from PIL import Image, ImageCms

    assert space.table is not None
    out = _alpha_kept(pixels)
    colour = pixels[:, :, 2::-1] if bgr else pixels[:, :, :3]
    if pixels.dtype == np.uint16:
        colour = cv2.convertScaleAbs(np.ascontiguousarray(colour), alpha=255 / _FULL)
    source = Image.fromarray(np.ascontiguousarray(colour[:, :, 0] if space.channels == "GRAY" else colour))
    made = np.asarray(ImageCms.applyTransform(source, space.table))
    out[:, :, :3] = made[:, :, ::-1] if bgr else made
    return out


def _alpha_kept(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Make room for the result, with the alpha in it."""
    out = np.empty(pixels.shape, np.uint8)
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3]
        out[:, :, 3] = alpha if pixels.dtype == np.uint8 else cv2.convertScaleAbs(alpha, alpha=255 / _FULL)
    return out


def is_srgb(space: Space) -> bool:
    """Tell whether a space of grey or of three channels is sRGB to a level of 255, as most that are embedded are.

    It is known by what it does to colours: profiles of sRGB have hundreds of names.
    """
    return _shift(space)[1] <= 1


def is_drastic(space: Space) -> bool:
    """Tell whether colours without the conversion are quite other ones: negatives, exchanged channels.

    ProPhoto RGB moves colours by 25 levels of 255 on average, linear light by 44; red and green exchanged by 60.
    """
    return _shift(space)[0] > _DRASTIC


@lru_cache(maxsize=64)
def _shift(space: Space) -> tuple[float, float]:
    """Measure by how many levels of 255 a conversion moves colours: on average, and at most."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    if space.channels == "GRAY":
        chart = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    else:
        chart = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
    moved = cv2.absdiff(to_srgb(chart, space, bgr=False), chart)
    return float(moved.mean()), float(moved.max())
