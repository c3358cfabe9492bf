"""Cutting and resizing: the geometry between a picture and what a model sees of it."""

from __future__ import annotations

import cv2

from scanner.decode import Picture


def shrink(picture: Picture, width: int, height: int) -> Picture:
    """Resize to exactly `width` x `height`, by area averaging; enlarges (bilinearly) if the picture is smaller.

    Large factors go by halves as long as the last step is by 2 or more: that keeps the outcome within a fraction of a
    grey level of one step's.
    """
    picture = _halved(picture, 2 * width, 2 * height)
    larger = picture.shape[1] < width or picture.shape[0] < height
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA)


def shrink_fast(picture: Picture, width: int, height: int) -> Picture:
    """The same, in a third of the time and not as sharp: by halves, and bilinearly by what is left, less than 2."""
    return cv2.resize(_halved(picture, width, height), (width, height), interpolation=cv2.INTER_LINEAR)


def _halved(picture: Picture, width: int, height: int) -> Picture:
    """Halved while it stays at least as large as that. OpenCV averages by 2 several times faster than by anything else.

    Last odd rows and columns are left out: of all steps together, less than one pixel of `width` x `height`.
    """
    while picture.shape[1] >= 2 * width and picture.shape[0] >= 2 * height:
        half_w, half_h = picture.shape[1] // 2, picture.shape[0] // 2
        picture = cv2.resize(picture[: 2 * half_h, : 2 * half_w], (half_w, half_h), interpolation=cv2.INTER_AREA)
    return picture


def square_crop(picture: Picture, box: tuple[int, int, int, int], margin: float) -> tuple[slice, slice]:
    """Rows and columns of the square round a box.

    Its side is the box's longer side plus `margin` of it on every side. At the picture's edge the square is moved
    inwards, and made smaller where the picture is: a crop holds real pixels only, and keeps its proportions.
    """
    height, width = picture.shape[:2]
    x, y, w, h = box
    side = max(1, min(round(max(w, h) * (1 + 2 * margin)), width, height))
    left = min(max(0, round(x + w / 2 - side / 2)), width - side)
    top = min(max(0, round(y + h / 2 - side / 2)), height - side)
    return slice(top, top + side), slice(left, left + side)
