"""Lays a picture with transparency on a ground, and tells whether another ground shows another picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WHITE, BLACK = 255, 0
# Pixels that are converted at once: the copies that this takes of 200 megapixels would need 3 GB.
_BAND_PIXELS = 1_000_000
# Side of a cell, in pixels: averages dots that look like a grey from afar; a quarter of the smallest face.
_CELL_SIDE = 8
# Mean alpha (0..255) of a cell that is neither transparent nor opaque.
_SEE_THROUGH = (16, 239)
# Cells that must be see-through side by side: the soft edge of something cut out is narrower.
_SEE_THROUGH_AREA = np.ones((3, 3), np.uint8)


def hides_second_picture(pixels: NDArray[Any]) -> bool:
    """Tell whether an area of a picture is see-through, so that it shows another picture on black than on white.

    Args:
        pixels: (height, width, channels), uint8 or uint16; alpha is the last of two or four channels.
    """
    if pixels.ndim == 2 or pixels.shape[2] not in (2, 4):
        return False
    alpha = np.ascontiguousarray(pixels[:, :, -1])
    if alpha.min() == np.iinfo(alpha.dtype).max:
        return False
    size = (max(1, alpha.shape[1] // _CELL_SIDE), max(1, alpha.shape[0] // _CELL_SIDE))
    cells = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    if cells.dtype == np.uint16:
        cells = cv2.convertScaleAbs(cells, alpha=255 / 65_535)
    return bool(cv2.erode(cv2.inRange(cells, *_SEE_THROUGH), _SEE_THROUGH_AREA).any())


def flatten(pixels: NDArray[Any], premultiplied: bool = False, ground: int = WHITE) -> NDArray[Any]:
    """Convert pixels of any layout to RGB, laid on a ground. Some rows at a time, to save memory.

    Args:
        pixels: grey, grey with alpha, BGR or BGRA; uint8 or uint16 (height, width) or (height, width, channels).
        premultiplied: whether colours are multiplied by alpha already.
        ground: `WHITE` or `BLACK`, which shows where the picture is transparent.

    Returns:
        RGB uint8 (height, width, 3), contiguous.
    """
    rows = max(1, _BAND_PIXELS // pixels.shape[1])
    if pixels.shape[0] <= rows:
        return _flatten_band(pixels, premultiplied, ground)
    picture = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, pixels.shape[0], rows):
        picture[top : top + rows] = _flatten_band(pixels[top : top + rows], premultiplied, ground)
    return picture


def _flatten_band(pixels: NDArray[Any], premultiplied: bool, ground: int) -> NDArray[Any]:
    """Convert a few rows as `flatten` does.

    Args:
        pixels: of any layout that `flatten` accepts.
        premultiplied: whether colours are multiplied by alpha already.
        ground: `WHITE` or `BLACK`.
    """
    pixels = np.ascontiguousarray(pixels)
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels not in (2, 4):
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_BGR2RGB)
    alpha = np.ascontiguousarray(pixels[:, :, -1])
    colour = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB) if channels == 4 else cv2.merge([pixels[:, :, 0]] * 3)
    if alpha.min() == 255:
        return colour
    alpha = cv2.merge([alpha] * 3)
    if not premultiplied:
        colour = cv2.multiply(colour, alpha, scale=1 / 255)
    return cv2.add(colour, cv2.bitwise_not(alpha)) if ground == WHITE else colour
