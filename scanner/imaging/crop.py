"""Cutting and resizing: the geometry between a picture and what a model sees of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from scanner.imaging.decode import Picture
from scanner.imaging.pyramid import GREY, Pyramid, View, half

Box = tuple[int, int, int, int]
EDGES = ("clamp", "reflect", "grey")
_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "grey": cv2.BORDER_CONSTANT}


@dataclass(frozen=True, slots=True)
class Cut:
    """A square of a picture, which may lie turned in it and reach beyond its edges: what a model sees of a face.

    Attributes:
        left, top, side: of the square before it is turned about its centre, in pixels.
        turn: degrees by which it is turned clockwise.
        fill: what stands for pixels outside of the picture: its mirror image (`reflect`), or `grey`.
    """

    left: int
    top: int
    side: int
    turn: int = 0
    fill: str = "reflect"

    def needed(self, picture: Picture) -> tuple[slice, slice]:
        """Rows and columns of a picture that the square takes pixels from."""
        # The corners of a tilted square reach beyond its sides.
        reach = math.ceil(self.side * (2**0.5 - 1) / 2) + 2 if self.turn % 90 else 0
        rows, columns = (
            slice(max(0, start - reach), max(0, min(start + self.side + reach, length)))
            for start, length in zip((self.top, self.left), picture.shape[:2], strict=False)
        )
        return rows, columns

    def moved(self, columns: int, rows: int) -> Cut:
        """The same square of a picture whose first columns and rows were cut off."""
        return replace(self, left=self.left - columns, top=self.top - rows)

    def of(self, picture: Picture, width: int, height: int) -> Picture:
        """Cut it out of a picture, upright, at exactly this size."""
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
        # Filled at its final size: at full size the square may take a hundred times the memory of the picture.
        top, bottom = _scaled(outside[0], outside[2], self.side, height)
        left, right = _scaled(outside[1], outside[3], self.side, width)
        part = shrink(part, width - left - right, height - top - bottom)
        return cv2.copyMakeBorder(part, top, bottom, left, right, _BORDERS[self.fill], value=GREY)

    def _tilted(self, picture: Picture, width: int, height: int) -> Picture:
        # Twice as large at first: bilinear sampling alone would skip pixels.
        x, y = self.left + self.side / 2, self.top + self.side / 2
        view = View(x, y, self.side, self.turn, 2 * max(width, height))
        large = Pyramid(picture).view(view, _BORDERS[self.fill])
        return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)


def shrink(picture: Picture, width: int, height: int) -> Picture:
    """Resize to exactly `width` x `height`, by area averaging; enlarges (bilinearly) if the picture is smaller.

    Large factors go by halves as long as the last step is by 2 or more: that keeps the outcome within a fraction of a
    grey level of one step's.
    """
    picture = _halved(picture, 2 * width, 2 * height)
    larger = picture.shape[1] < width or picture.shape[0] < height
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA)


def _halved(picture: Picture, width: int, height: int) -> Picture:
    """Halved while it stays at least as large as that. OpenCV averages by 2 several times faster than by anything else.

    Last odd rows and columns are left out: of all steps together, less than one pixel of `width` x `height`.
    """
    while picture.shape[1] >= 2 * width and picture.shape[0] >= 2 * height:
        picture = half(picture)
    return picture


def square_round_face(size: tuple[int, int], box: Box, margin: float, edge: str, turn: int = 0) -> Cut:
    """Choose the square round a face. Its side is the box's longer side plus `margin` of it on every side.

    Args:
        size: width and height of the picture.
        box: of the face, in pixels of the picture.
        margin: in parts of the box's longer side.
        edge: what to do where the square does not fit into the picture, one of `EDGES`. `clamp` moves the square
            inwards and makes it smaller, down to the box: where not even the box fits, it fills as `reflect` does.
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
    """Pixels to fill on both ends of a side that is resized to `pixels`; at least one is left between them."""
    first = min(round(before * pixels / side), pixels - 1)
    return first, min(round(after * pixels / side), pixels - 1 - first)


def available_margin(size: tuple[int, int], box: Box) -> float:
    """How much margin the picture could give a square round a box at the most, in parts of the box's longer side.

    Below 0 the picture is narrower than the face in it.
    """
    return (min(size) / max(box[2:]) - 1) / 2


def judged_turn(turn: int, level: float) -> int:
    """The turn that a face is judged at: the nearest quarter turn, unless it is tilted further than `level` from it."""
    quarter = 90 * round(turn / 90)
    return normalise_degrees(quarter if abs(turn - quarter) <= level else turn)


def normalise_degrees(degrees: int) -> int:
    """The same direction in degrees, over -180 and up to 180."""
    return 180 - (180 - degrees) % 360
