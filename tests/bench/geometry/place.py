"""Changes of place: the face turned, cut, framed, moved about on a canvas, small beside another one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from scanner.imaging.decode import Picture, decode
from tests.bench.geometry.portrait import Change, Portrait

PHOTOGRAPH = Path(__file__).parents[3] / "examples" / "pictures" / "faceless_coffee.jpg"
WHITE, GREY, BLACK = 255, 127, 0
# The same pixels at so many places of one canvas; (0, 0) is its upper left corner, (1, 1) the lower right one.
PLACES = [(x, y) for y in (0.0, 0.07, 0.5, 1.0) for x in (0.0, 0.11, 0.6)]


def tilted(degrees: float) -> Change:
    """Turn clockwise, on a canvas that the edges are drawn out to: a plain border would be a change of its own."""

    def change(portrait: Portrait) -> Picture:
        height, width = portrait.picture.shape[:2]
        side = int(np.hypot(height, width)) + 1
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
        matrix[:, 2] += ((side - width) / 2, (side - height) / 2)
        flags, border = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
        return cv2.warpAffine(portrait.picture, matrix, (side, side), flags=flags, borderMode=border)

    return change


def cut_to_face(margin: float) -> Change:
    """Cut out the face's box and that part of its sides round it, as far as the picture goes."""

    def change(portrait: Portrait) -> Picture:
        x, y, w, h = portrait.box
        rows = slice(max(0, round(y - margin * h)), round(y + h + margin * h))
        return portrait.picture[rows, max(0, round(x - margin * w)) : round(x + w + margin * w)]

    return change


def cut_off(left: float, top: float, others: float = 0.0) -> Change:
    """Cut parts of the picture's sides off the left, the top, and the two other edges."""

    def change(portrait: Portrait) -> Picture:
        height, width = portrait.picture.shape[:2]
        rows = slice(round(top * height), height - round(others * height))
        return portrait.picture[rows, round(left * width) : width - round(others * width)]

    return change


def framed(share: float, border: int = cv2.BORDER_CONSTANT, colour: int = WHITE, only: str = "") -> Change:
    """Add a border.

    Args:
        share: its width, in parts of the picture's longer side.
        border: OpenCV's kind of border.
        colour: its grey level, if it is a plain one.
        only: `columns` for the left and right edge only, `rows` for the others; all four if empty.
    """

    def change(portrait: Portrait) -> Picture:
        wide = round(share * max(portrait.picture.shape))
        rows, columns = (0 if only == "columns" else wide), (0 if only == "rows" else wide)
        return cv2.copyMakeBorder(portrait.picture, rows, rows, columns, columns, border, value=(colour,) * 3)

    return change


def before_a_blurred_copy(portrait: Portrait) -> Picture:
    """Lay the picture on an enlarged and blurred copy of itself, as video players do."""
    wide = round(0.25 * max(portrait.picture.shape))
    height, width = portrait.picture.shape[:2]
    canvas = cv2.resize(portrait.picture, (width + 2 * wide, height + 2 * wide), interpolation=cv2.INTER_LINEAR)
    canvas = cv2.GaussianBlur(canvas, (0, 0), width / 20)
    canvas[wide : wide + height, wide : wide + width] = portrait.picture
    return canvas


def pasted(x: float, y: float, photograph: bool = False) -> Change:
    """Lay the picture on a canvas, or a photograph without a face, of three times its size."""

    def change(portrait: Portrait) -> Picture:
        height, width = portrait.picture.shape[:2]
        canvas = np.full((3 * height, 3 * width, 3), 200, np.uint8)
        if photograph:
            background = decode(PHOTOGRAPH.read_bytes()).picture
            assert background is not None
            canvas = cv2.resize(background, (3 * width, 3 * height), interpolation=cv2.INTER_CUBIC)
        top, left = round(2 * height * y), round(2 * width * x)
        canvas[top : top + height, left : left + width] = portrait.picture
        return canvas

    return change


def screenshot(portrait: Portrait) -> Picture:
    """Show the picture in a page with a title bar and lines of text, which grey bars stand for."""
    height, width = portrait.picture.shape[:2]
    page = np.full((round(1.6 * height) + 120, width + 160, 3), WHITE, np.uint8)
    page[:60] = (60, 66, 80)
    page[90 : 90 + height, 80 : 80 + width] = portrait.picture
    for top in range(110 + height, len(page) - 16, 22):
        page[top : top + 8, 80 : 80 + width - (top * 37) % (width // 2)] = 150
    return page


def beside_large(pixels: int, canvas: int) -> Change:
    """Show the face, so many pixels large, in the corner of a picture that a large real portrait fills otherwise."""

    def change(portrait: Portrait) -> Picture:
        picture = np.full((canvas, canvas, 3), GREY, np.uint8)
        large = cv2.resize(portrait.other, (canvas * 3 // 4,) * 2, interpolation=cv2.INTER_CUBIC)
        picture[canvas // 4 :, : large.shape[1]] = large
        small = face_of(portrait, pixels)[: canvas // 4, : canvas // 4]
        picture[: small.shape[0], canvas - small.shape[1] :] = small
        return picture

    return change


def face_of(portrait: Portrait, pixels: int) -> Picture:
    """Return the picture, resized so that the longer side of the face is so many pixels."""
    scale = pixels / max(portrait.box[2:])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(portrait.picture, None, fx=scale, fy=scale, interpolation=way)


def resized(across: float, down: float | None = None) -> Change:
    """Resize the picture; by another factor down than across, if there is one."""

    def change(portrait: Portrait) -> Picture:
        way = cv2.INTER_AREA if across < 1 else cv2.INTER_CUBIC
        return cv2.resize(portrait.picture, None, fx=across, fy=down or across, interpolation=way)

    return change


MIRROR, DRAWN_OUT = cv2.BORDER_REFLECT, cv2.BORDER_REPLICATE
TURNED: dict[str, Change] = {
    "turned by 90 degrees": lambda portrait: np.rot90(portrait.picture, -1),
    "turned by 180 degrees": lambda portrait: np.rot90(portrait.picture, 2),
    "turned by 270 degrees": lambda portrait: np.rot90(portrait.picture),
    **{f"tilted by {degrees} degrees": tilted(degrees) for degrees in (5, 15, 30, -30, 45, 60)},
    "mirrored": lambda portrait: portrait.picture[:, ::-1],
}
CUT: dict[str, Change] = {
    "cut to the face box": cut_to_face(0.0),
    "cut to the face box + 10 %": cut_to_face(0.1),
    "cut to the face box + 25 %": cut_to_face(0.25),
    "cut 5 % off all sides": cut_off(0.05, 0.05, 0.05),
    "cut 10 % off all sides": cut_off(0.1, 0.1, 0.1),
    "cut 10 % off the left": cut_off(0.1, 0),
    "cut 10 % off the top": cut_off(0, 0.1),
}
FRAMED: dict[str, Change] = {
    **{f"white border {share} %": framed(share / 100) for share in (2, 5, 10, 20, 40)},
    "grey border 20 %": framed(0.2, colour=GREY),
    **{f"black border {share} %": framed(share / 100, colour=BLACK) for share in (10, 20, 60)},
    "mirrored border 20 %": framed(0.2, MIRROR),
    "edge drawn out 20 %": framed(0.2, DRAWN_OUT),
    "blurred copy round it 25 %": before_a_blurred_copy,
    "white bars left and right 20 %": framed(0.2, only="columns"),
    "white bars above and below 20 %": framed(0.2, only="rows"),
    "screenshot of a page": screenshot,
    "on a photograph, upper left corner": pasted(0, 0, photograph=True),
    "on a photograph, middle": pasted(0.5, 0.5, photograph=True),
    "on a photograph, lower right corner": pasted(1, 1, photograph=True),
    "on a photograph, off the corner": pasted(0.2, 0.3, photograph=True),
}
SIZED: dict[str, Change] = {
    "half size": resized(0.5),
    "enlarged x2": resized(2),
    "stretched 15 %": resized(1.15, 1),
    "face 112 px": lambda portrait: face_of(portrait, 112),
    "face 64 px": lambda portrait: face_of(portrait, 64),
    "face 48 px": lambda portrait: face_of(portrait, 48),
    "112 px beside a large real face, 2400 px": beside_large(112, 2400),
    "60 px beside a large real face, 1200 px": beside_large(60, 1200),
}
ON_CANVAS: dict[str, Change] = {f"on a canvas at {x}, {y}": pasted(x, y) for x, y in PLACES}
