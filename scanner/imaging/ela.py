"""Computes the Error Level Analysis of a picture: how much each pixel changes when it is saved as JPEG once more.

Regions with another compression history than the rest may stand out. The map is that of Gautam and Chandra (the
Keras detectors that `train/` rebuilds); N. Krawetz, "A Picture's Worth", Black Hat 2007, is the origin of the method.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scanner.imaging.decode import Picture
from scanner.result import Ela

QUALITY = 90  # of the JPEG copy
ALPHA = 80.0  # by which an error level is multiplied for the map
BETA = -30.0  # what is added to it
# Longest side in pixels that libjpeg writes.
MAX_SIDE = 65_500


def error_levels(picture: Picture, quality: int = QUALITY) -> Picture:
    """Compute the absolute difference between a picture and its JPEG copy.

    Args:
        picture: RGB uint8 (height, width, 3), no side longer than `MAX_SIDE`.
        quality: of the copy, 1..100.

    Returns:
        uint8, the same shape.
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    again = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert again is not None  # it was encoded a moment ago
    return cv2.cvtColor(cv2.absdiff(bgr, again), cv2.COLOR_BGR2RGB)


def error_levels_at(picture: Picture, rows: slice, columns: slice, quality: int = QUALITY) -> Picture:
    """Compute the error levels of a part as they are in the whole picture, without the cost of the rest.

    Args:
        picture: RGB uint8 (height, width, 3).
        rows: of the part.
        columns: of the part.
        quality: of the JPEG copy, 1..100.

    Returns:
        uint8 (rows, columns, 3).
    """
    # JPEG works in blocks of 8 pixels, of 16 where colours are halved, and smoothes colours over the next pixel.
    top, left = (max(0, part.start // 16 * 16 - 16) for part in (rows, columns))
    around = picture[top : rows.stop // 16 * 16 + 32, left : columns.stop // 16 * 16 + 32]
    levels = error_levels(around, quality)
    return levels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def ela_map(levels: Picture, alpha: float = ALPHA, beta: float = BETA) -> Picture:
    """Make error levels visible: ``|alpha * level + beta|``, at most 255. Level 0 shows as 30, as in the study.

    Args:
        levels: uint8 (height, width, 3), from `error_levels`.
        alpha: factor.
        beta: summand, in levels.

    Returns:
        uint8, the same shape.
    """
    return cv2.convertScaleAbs(levels, alpha=alpha, beta=beta)


def statistics(levels: Picture, boxes: Sequence[tuple[int, int, int, int]], quality: int = QUALITY) -> Ela:
    """Summarise error levels: mean, 95th percentile, and means inside and outside of the face boxes.

    Args:
        levels: uint8 (height, width, 3), from `error_levels`.
        boxes: x, y, width and height of each face, in pixels.
        quality: of the JPEG copy; part of the result.
    """
    grey = levels.max(axis=2)  # a pixel stands out as soon as one channel does
    inside = np.zeros(grey.shape, bool)
    for x, y, w, h in boxes:
        inside[y : y + h, x : x + w] = True
    return Ela(
        quality=quality,
        mean=round(float(grey.mean()), 3),
        p95=round(float(np.percentile(grey, 95)), 3),
        face=_mean(grey[inside]),
        background=_mean(grey[~inside]),
    )


def _mean(values: Picture) -> float | None:
    """Return the mean, rounded to three decimals; None if there are no values."""
    return round(float(values.mean()), 3) if values.size else None
