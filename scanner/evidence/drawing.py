"""Draws text, boxes and heat maps on RGB pictures, with OpenCV alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.imaging.decode import Picture
from scanner.result import Verdict

Color = tuple[int, int, int]

INK: Color = (28, 30, 33)
FADED: Color = (104, 108, 115)
LINE: Color = (214, 217, 221)
PAPER: Color = (255, 255, 255)
# Orange and blue are told apart with any kind of colour blindness (Okabe and Ito, "Color Universal Design", 2008).
FOR_FAKE: Color = (213, 94, 0)
FOR_REAL: Color = (0, 114, 178)
VERDICTS: dict[Verdict, Color] = {
    Verdict.FAKE: (190, 70, 0),
    Verdict.UNCERTAIN: (140, 106, 0),
    Verdict.REAL: (0, 98, 156),
    Verdict.NO_FACE: FADED,
}
REGULAR, BOLD = 400, 600
# Pixels of a box's shorter side below which its line is thin, so that the face in it stays visible.
_THIN = 28
_NEAREST = str.maketrans({"…": "...", "−": "-", "×": "x"})
# Opacity of a heat map's strongest colour, 0 to 1.
_COVER = 0.85


def write(
    picture: Picture, words: str, x: float, y: float, size: int, color: Color = INK, weight: int = REGULAR
) -> None:
    """Write a line of text, in place.

    Args:
        picture: RGB uint8 (height, width, 3).
        words: the text.
        x: where its baseline begins, in pixels from the left.
        y: where its baseline lies, in pixels from the top.
        size: its height in pixels.
        color: RGB.
        weight: `REGULAR` or `BOLD`.
    """
    place = (round(x), round(y))
    if _has_fonts():
        cv2.putText(picture, words, place, color, _font(), size, weight)
    else:
        plain, scale, thick = _plain(words, size, weight)
        cv2.putText(picture, plain, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, thick, cv2.LINE_AA)


def width_of(words: str, size: int, weight: int = REGULAR) -> int:
    """Return the width of a line of text in pixels; its height is `size`."""
    if _has_fonts():
        return int(cv2.getTextSize((0, 0), words, (0, 0), _font(), size, weight)[2])
    plain, scale, thick = _plain(words, size, weight)
    return int(cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)[0][0])


def shortened(words: str, width: int, size: int, weight: int = REGULAR) -> str:
    """Shorten a line to a width: a file's name is recognised by its beginning and its end.

    Args:
        words: the line.
        width: in pixels.
        size: height in pixels.
        weight: `REGULAR` or `BOLD`.
    """
    if width_of(words, size, weight) <= width:
        return words
    low, high = 0, min(len(words), width)  # no letter is narrower than a pixel
    while low < high:
        count = (low + high + 1) // 2
        if width_of(_ends(words, count), size, weight) <= width:
            low = count
        else:
            high = count - 1
    return _ends(words, low)


def wrapped(words: str, width: int, size: int) -> list[str]:
    """Break a text between words into lines of at most `width` pixels; `size` is their height in pixels."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def fill(picture: Picture, x: float, y: float, width: float, height: float, color: Color) -> None:
    """Paint a rectangle, in place; numbers are pixels, (x, y) is its top left corner."""
    picture[max(0, round(y)) : max(0, round(y + height)), max(0, round(x)) : max(0, round(x + width))] = color


def frame(picture: Picture, box: tuple[int, int, int, int], color: Color, label: str = "", size: int = 13) -> None:
    """Draw a box in place, with a light edge that shows on dark ground.

    Args:
        picture: RGB uint8 (height, width, 3).
        box: x, y, width, height in pixels.
        color: RGB.
        label: a text above the box, or below or in it where there is no room; empty for none.
        size: height of the text in pixels.
    """
    x, y, w, h = box
    thick = 2 if min(w, h) >= _THIN else 1
    cv2.rectangle(picture, (x - thick, y - thick), (x + w - 1 + thick, y + h - 1 + thick), PAPER, 1)
    cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), color, thick)
    if not label:
        return
    wide, high = width_of(label, size, BOLD) + 8, size + 6
    left = min(max(0, x - 2), max(0, picture.shape[1] - wide))
    # Above the box; if that is outside the picture, below it; if that is outside as well, in it.
    top = y - high if y >= high else y + h if y + h + high <= picture.shape[0] else max(0, y)
    fill(picture, left, top, wide, high, color)
    write(picture, label, left + 4, top + high - 5, size, PAPER, BOLD)


def overlaid(picture: Picture, values: NDArray[np.float64], scale: float) -> Picture:
    """Lay a heat map over a picture, which turns grey.

    Args:
        picture: RGB uint8 (height, width, 3); the map is enlarged to its size.
        values: (h, w), of any size; above 0 they show as `FOR_FAKE`, below as `FOR_REAL`.
        scale: the value that shows strongest; more than 0.
    """
    height, width = picture.shape[:2]
    fine = cv2.resize(np.clip(values / scale, -1, 1), (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float64)
    cover = _COVER * np.abs(fine)
    mixed = grey * (1 - cover) + np.where(fine > 0, np.array(FOR_FAKE), np.array(FOR_REAL)) * cover
    return mixed.round().astype(np.uint8)


def enlarged(picture: Picture, width: int, height: int) -> Picture:
    """Resize a picture to be looked at, smoothly in either direction."""
    smaller = picture.shape[1] > width
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _ends(words: str, count: int) -> str:
    """Return so many letters from the two ends of a text."""
    half = count // 2
    return f"{words[: count - half]}…{words[len(words) - half :]}"


def _has_fonts() -> bool:
    """Say whether OpenCV has fonts, as from 5.0 on; before, it only has Hershey's strokes."""
    return hasattr(cv2, "FontFace")


@cache
def _font() -> Any:
    return cv2.FontFace("sans")


def _plain(words: str, size: int, weight: int) -> tuple[str, float, int]:
    """Return words in ASCII, scale and thickness, for Hershey's strokes."""
    plain = words.translate(_NEAREST).encode("ascii", "backslashreplace").decode()
    return plain, size / 30, 2 if weight > REGULAR and size > 14 else 1
