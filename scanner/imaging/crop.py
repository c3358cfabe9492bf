"""Cuts out and resizes: the geometry between a picture and the pixels that a model gets of a face."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from scanner.imaging.decode import Picture
from scanner.imaging.pyramid import GREY, Pyramid, View, half

# x and y of the upper left corner, width and height, in pixels.
Box = tuple[int, int, int, int]
# What `square_round_face` does where its square does not fit into the picture.
EDGES = ("clamp", "reflect", "grey")
_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "grey": cv2.BORDER_CONSTANT}


@dataclass(frozen=True, slots=True)
class Cut:
    """A square of a picture that a model gets of a face. It may be turned, and reach beyond the picture's edges.

    Attributes:
        left: column of the left edge before the square is turned about its centre, in pixels.
        top: row of the upper edge, likewise.
        side: in pixels.
        turn: degrees by which the square is turned clockwise.
        fill: what replaces pixels outside of the picture: its mirror image (`reflect`), or `grey`.
    """

    left: int
    top: int
    side: int
    turn: int = 0
    fill: str = "reflect"

    def needed(self, picture: Picture) -> tuple[slice, slice]:
        """Return the rows and the columns of a picture that the square takes pixels from."""
        # The corners of a tilted square reach beyond its sides.
        reach = math.ceil(self.side * (2**0.5 - 1) / 2) + 2 if self.turn % 90 else 0
        rows, columns = (
            slice(max(0, start - reach), max(0, min(start + self.side + reach, length)))
            for start, length in zip((self.top, self.left), picture.shape[:2], strict=False)
        )
        return rows, columns

    def moved(self, columns: int, rows: int) -> Cut:
        """Return the same square of a picture whose first columns and rows were cut off."""
        return replace(self, left=self.left - columns, top=self.top - rows)

    def of(self, picture: Picture, width: int, height: int) -> Picture:
        """Cut the square out of a picture, upright.

        Args:
            picture: RGB uint8 (height, width, 3).
            width: of the result, in pixels.
            height: of the result, in pixels.

        Returns:
            RGB uint8 of exactly that size.
        """
        rows, columns = self.needed(picture)
        part = picture[rows, columns]
        if self.turn % 90:
            return self.moved(columns.start, rows.start)._tilted(part, width, height)
        outside = [
            max(0, -self.top),
            max(0, -self.left),
            max(0, self.top + self.side - picture.shape[0]),
            max(0, self.left + self.side - picture.shape[1]),
        ]
        quarters = self.turn // 90 % 4
        part, outside = np.rot90(part, quarters), outside[-quarters:] + outside[:-quarters]
        if not any(outside):
            return shrink(part, width, height)
        # The outside is filled at the final size: the whole square may take a hundred times the picture's memory.
        top, bottom = _scaled(outside[0], outside[2], self.side, height)
        left, right = _scaled(outside[1], outside[3], self.side, width)
        part = shrink(part, width - left - right, height - top - bottom)
        return cv2.copyMakeBorder(part, top, bottom, left, right, _BORDERS[self.fill], value=GREY)

    def _tilted(self, picture: Picture, width: int, height: int) -> Picture:
        """Cut out a square that is not turned by quarter turns.

        Args:
            picture: RGB uint8 (height, width, 3).
            width: of the result, in pixels.
            height: of the result, in pixels.
        """
        # Sampled at twice the size first: bilinear sampling alone would skip pixels.
        x, y = self.left + self.side / 2, self.top + self.side / 2
        view = View(x, y, self.side, self.turn, 2 * max(width, height))
        large = Pyramid(picture).view(view, _BORDERS[self.fill])
        return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)


def shrink(picture: Picture, width: int, height: int) -> Picture:
    """Resize to exactly `width` x `height` pixels, by area averaging; bilinearly if the picture is smaller.

    The picture is halved first, as long as the last step is by 2 or more: OpenCV averages by 2 several times faster
    than by other factors, and the result stays within a fraction of a grey level of a single step's.

    Args:
        picture: uint8 (height, width, 3).
        width: of the result, in pixels.
        height: of the result, in pixels.
    """
    picture = _halve_down_to(picture, 2 * width, 2 * height)
    larger = picture.shape[1] < width or picture.shape[0] < height
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA)


def _halve_down_to(picture: Picture, width: int, height: int) -> Picture:
    """Halve a picture while it stays at least as large as `width` x `height` pixels.

    Odd last rows and columns are dropped: in all steps together, less than one pixel of that size.

    Args:
        picture: uint8 (height, width, 3).
        width: smallest width of the result, in pixels.
        height: smallest height of the result, in pixels.
    """
    while picture.shape[1] >= 2 * width and picture.shape[0] >= 2 * height:
        picture = half(picture)
    return picture


def square_round_face(size: tuple[int, int], box: Box, margin: float, edge: str, turn: int = 0) -> Cut:
    """Choose the square round a face. Its side is the box's longer side plus a margin on every side.

    Args:
        size: width and height of the picture, in pixels.
        box: of the face, in pixels of the picture.
        margin: in parts of the box's longer side.
        edge: what to do where the square does not fit into the picture, one of `EDGES`. `clamp` moves the square
            inwards and makes it smaller, down to the box; where not even the box fits, it fills as `reflect` does.
            `reflect` and `grey` keep the square, and fill it.
        turn: degrees by which the face is turned clockwise.
    """
    width, height = size
    x, y, w, h = box
    side = max(1, round(max(w, h) * (1 + 2 * margin)))
    clamps = edge == "clamp" and max(w, h) <= min(width, height)
    if clamps:
        side = min(side, width, height)
    left, top = round(x + w / 2 - side / 2), round(y + h / 2 - side / 2)
    if clamps:
        left, top = min(max(0, left), width - side), min(max(0, top), height - side)
    return Cut(left, top, side, turn, "grey" if edge == "grey" else "reflect")


def _scaled(before: int, after: int, side: int, pixels: int) -> tuple[int, int]:
    """Compute the pixels to fill at both ends of a side after resizing; at least one pixel is left between them.

    Args:
        before: pixels outside of the picture at the beginning of the side, before resizing.
        after: pixels outside of the picture at the end.
        side: pixels before resizing.
        pixels: pixels after resizing.
    """
    first = min(round(before * pixels / side), pixels - 1)
    return first, min(round(after * pixels / side), pixels - 1 - first)


def available_margin(size: tuple[int, int], box: Box) -> float:
    """Compute the largest margin that a square round a box can have in a picture, in parts of the box's longer side.

    A negative margin means that the picture is narrower than the face in it.

    Args:
        size: width and height of the picture, in pixels.
        box: of the face, in pixels of the picture.
    """
    return (min(size) / max(box[2:]) - 1) / 2


def judged_turn(turn: int, level: float) -> int:
    """Choose the turn at which a face is cut out: the nearest quarter turn, unless the face is tilted further from it.

    Args:
        turn: degrees by which the face is turned clockwise.
        level: largest tilt that is left as it is, in degrees.

    Returns:
        Degrees, over -180 and up to 180.
    """
    quarter = 90 * round(turn / 90)
    return normalise_degrees(quarter if abs(turn - quarter) <= level else turn)


def normalise_degrees(degrees: int) -> int:
    """Convert degrees to the same direction over -180 and up to 180."""
    return 180 - (180 - degrees) % 360
