"""Tells whether transparency hides a second picture, which is seen on black and not on white."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Pixels of a cell: so large that dots of two kinds, which look like a grey from afar, do so here; a quarter of the
# smallest face.
_CELL = 8
# Alpha of a cell that is neither open nor opaque.
_SEE_THROUGH = (16, 239)
# Cells. The soft edge of something cut out is narrower.
_AREA = np.ones((3, 3), np.uint8)


def hides_second_picture(pixels: NDArray[Any]) -> bool:
    """Tell whether an area of a picture is neither open nor opaque, so that a black ground makes another picture of it.

    Args:
        pixels: (height, width, channels), uint8 or uint16; alpha is the last of two or four channels.
    """
    if pixels.ndim == 2 or pixels.shape[2] not in (2, 4):
        return False
    alpha = np.ascontiguousarray(pixels[:, :, -1])
    if alpha.min() == np.iinfo(alpha.dtype).max:
        return False
    size = (max(1, alpha.shape[1] // _CELL), max(1, alpha.shape[0] // _CELL))
    cells = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    if cells.dtype == np.uint16:
        cells = cv2.convertScaleAbs(cells, alpha=255 / 65_535)
    return bool(cv2.erode(cv2.inRange(cells, *_SEE_THROUGH), _AREA).any())
