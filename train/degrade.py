"""Conditions to measure a model under: the same for real and fake, so that no format gives them away."""

from __future__ import annotations

import cv2
import numpy as np

from scanner.crop import shrink
from scanner.decode import Picture
from scanner.model import Box
from train.data import Condition

# About the size of the faces in most sets at hand (256 px pictures cut at 2.2 times the face): few are enlarged.
FACE_SIDE = 112
# The same for models that look at whole pictures.
PICTURE_SIDE = 256


def as_found(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
    """The file as it is, with whatever its format gives away."""
    return picture, box


def same_size(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
    """Resized so that the face's longer side is `FACE_SIDE` (without a face, the picture's `PICTURE_SIDE`)."""
    height, width = picture.shape[:2]
    factor = PICTURE_SIDE / max(height, width) if box is None else FACE_SIDE / max(box[2:])
    small = shrink(picture, max(1, round(width * factor)), max(1, round(height * factor)))
    if box is None:
        return small, None
    x, y, w, h = (round(value * factor) for value in box)
    return small, (x, y, max(1, w), max(1, h))


def jpeg(picture: Picture, quality: int) -> Picture:
    """Saved as JPEG (4:2:0) and read again."""
    _, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


def webp(picture: Picture, quality: int) -> Picture:
    """Saved as lossy WebP and read again."""
    _, data = cv2.imencode(".webp", picture[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


def _saved_at(quality: int) -> Condition:
    def condition(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
        picture, box = same_size(picture, box)
        return jpeg(picture, quality), box

    return condition


def _half_and_back(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
    picture, box = same_size(picture, box)
    height, width = picture.shape[:2]
    half = shrink(picture, max(1, width // 2), max(1, height // 2))
    return jpeg(shrink(half, width, height), 85), box


CONDITIONS: dict[str, Condition] = {
    "as_found": as_found,
    "re_encoded": _saved_at(85),
    "jpeg75": _saved_at(75),
    "jpeg50": _saved_at(50),
    "half": _half_and_back,
}
# Both classes saved alike: the figures to believe.
FAIR = "re_encoded"
