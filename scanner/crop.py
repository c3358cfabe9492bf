"""Cutting and resizing: the geometry between a picture and what a model sees of it."""

from __future__ import annotations

import cv2

from scanner.decode import Picture


def shrink(picture: Picture, width: int, height: int) -> Picture:
    """Resize to exactly `width` x `height`, by area averaging; enlarges (bilinearly) if the picture is smaller.

    Large factors go in two steps, the first by a whole number: OpenCV's area averaging is faster there, and steps of
    no more than 4 keep the outcome within a fraction of a grey level of one step's.
    """
    factor = min(picture.shape[1] // width, picture.shape[0] // height)
    if factor >= 4:
        step = min(factor // 2, 4)
        whole_w, whole_h = picture.shape[1] // step * step, picture.shape[0] // step * step
        # At most step - 1 rows and columns at the far edge are left out: less than half a pixel of the outcome.
        picture = cv2.resize(
            picture[:whole_h, :whole_w], (whole_w // step, whole_h // step), interpolation=cv2.INTER_AREA
        )
    larger = picture.shape[1] < width or picture.shape[0] < height
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA)


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
