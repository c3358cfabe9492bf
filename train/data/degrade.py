"""Defines the conditions under which a model is measured, the same for real and fake pictures.

What a file format gives away about the class is removed by all conditions but `as_found`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from scanner.detector.card import Card
from scanner.imaging.crop import Box, shrink
from scanner.imaging.decode import Picture
from train.data.crops import Condition, as_found

# Longer side of a face in pixels, about that of most data sets (256 px pictures, 2.2 times the face): few are enlarged.
FACE_SIDE = 112
# Longer side of a picture in pixels for models of whole pictures, at least.
PICTURE_SIDE = 256
# Standard deviation in pixels of the common size. Softens about as much as `half`, without its grid (variance of the
# Laplacian of examples/pictures/real_astronaut.jpg, re-encoded: 1095; half: 93; blur: 79).
BLUR_SIGMA = 1.0

# Names of the conditions, and their titles in tables and plots.
TITLES = {
    "as_found": "as found",
    "re_encoded": "same size, JPEG 85",
    "jpeg75": "same size, JPEG 75",
    "jpeg50": "same size, JPEG 50",
    "webp60": "same size, WebP 60",
    "half": "half size and back, JPEG 85",
    "blur": "blurred, JPEG 85",
}
CONDITIONS = tuple(TITLES)
# The files as they are; and all files saved alike, whose figures tell most about the model.
AS_FOUND, FAIR = CONDITIONS[:2]


def conditions(card: Card) -> dict[str, Condition]:
    """Return the conditions for a model, by name.

    All but `as_found` first resize the picture. For a model of faces the face's longer side becomes `FACE_SIDE`. For a
    model of whole pictures their longer side becomes `PICTURE_SIDE`, or the longest side of the model's inputs if that
    is larger, so that no picture is shrunk and then enlarged again.
    """
    longest = max(side for spec in card.inputs for side in spec.size)
    side = max(PICTURE_SIDE, longest) if card.source == "image" else PICTURE_SIDE

    def after_resizing(change: Callable[[Picture], Picture]) -> Condition:
        def condition(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
            picture, box = same_size(picture, box, side)
            return change(picture), box

        return condition

    return {
        AS_FOUND: as_found,
        FAIR: after_resizing(lambda picture: jpeg(picture, 85)),
        "jpeg75": after_resizing(lambda picture: jpeg(picture, 75)),
        "jpeg50": after_resizing(lambda picture: jpeg(picture, 50)),
        "webp60": after_resizing(lambda picture: webp(picture, 60)),
        "half": after_resizing(lambda picture: jpeg(_half_and_back(picture), 85)),
        "blur": after_resizing(lambda picture: jpeg(cv2.GaussianBlur(picture, (0, 0), BLUR_SIGMA), 85)),
    }


def same_size(picture: Picture, box: Box | None, picture_side: int = PICTURE_SIDE) -> tuple[Picture, Box | None]:
    """Resize a picture to the common size.

    Args:
        picture: RGB uint8, (height, width, 3).
        box: of the face; its longer side becomes `FACE_SIDE`. None for the whole picture.
        picture_side: the longer side of a picture without a box becomes this, in pixels.
    """
    height, width = picture.shape[:2]
    factor = picture_side / max(height, width) if box is None else FACE_SIDE / max(box[2:])
    small = shrink(picture, max(1, round(width * factor)), max(1, round(height * factor)))
    if box is None:
        return small, None
    x, y, w, h = (round(value * factor) for value in box)
    return small, (x, y, max(1, w), max(1, h))


def jpeg(picture: Picture, quality: int) -> Picture:
    """Save a picture as JPEG (4:2:0) of this quality, 1..100, and read it again."""
    return _encoded_and_decoded(picture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def webp(picture: Picture, quality: int) -> Picture:
    """Save a picture as lossy WebP of this quality, 1..100, and read it again."""
    return _encoded_and_decoded(picture, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality])


def _encoded_and_decoded(picture: Picture, suffix: str, options: Sequence[int]) -> Picture:
    _, data = cv2.imencode(suffix, picture[:, :, ::-1], options)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None  # OpenCV reads what it has just written
    return np.ascontiguousarray(decoded[:, :, ::-1], np.uint8)


def _half_and_back(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return shrink(shrink(picture, max(1, width // 2), max(1, height // 2)), width, height)
