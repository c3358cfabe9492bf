"""Error Level Analysis: where a picture changes when it is saved as JPEG once more.

Regions with another compression history than the rest may stand out. The map is that of Gautam and Chandra (the
Keras detectors that `train/` rebuilds); N. Krawetz, "A Picture's Worth", Black Hat 2007, is the origin of the method.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scanner.imaging.decode import Picture
from scanner.result import Ela

QUALITY = 90
ALPHA = 80.0
BETA = -30.0
# Pixels: the longest side that libjpeg writes.
MAX_SIDE = 65_500


def error_levels(picture: Picture, quality: int = QUALITY) -> Picture:
    """Absolute difference between an RGB picture, no side over `MAX_SIDE`, and its JPEG copy; same shape, uint8."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    again = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert again is not None  # it was encoded a moment ago
    return cv2.cvtColor(cv2.absdiff(bgr, again), cv2.COLOR_BGR2RGB)


def error_levels_at(picture: Picture, rows: slice, columns: slice, quality: int = QUALITY) -> Picture:
    """`error_levels` of a part, as they are in the whole picture, without the cost of the rest."""
    # JPEG works in blocks of 8, of 16 where colours are halved, and smoothes colours over the next pixel.
    top, left = (max(0, part.start // 16 * 16 - 16) for part in (rows, columns))
    around = picture[top : rows.stop // 16 * 16 + 32, left : columns.stop // 16 * 16 + 32]
    levels = error_levels(around, quality)
    return levels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def ela_map(levels: Picture, alpha: float = ALPHA, beta: float = BETA) -> Picture:
    """Error levels made visible: ``|alpha * level + beta|``, at most 255. Level 0 shows as 30, as in the study."""
    return cv2.convertScaleAbs(levels, alpha=alpha, beta=beta)


def statistics(levels: Picture, boxes: Sequence[tuple[int, int, int, int]], quality: int = QUALITY) -> Ela:
    """Mean and 95th percentile of the error levels, and their means inside and outside of the face boxes.

    Args:
        levels: what `error_levels` gave.
        boxes: x, y, w, h in its pixels.
        quality: that of the JPEG copy; kept in the outcome.
    """
    grey = levels.max(axis=2)  # the worst channel: the level at which a pixel stands out
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
    return round(float(values.mean()), 3) if values.size else None
