"""Text, boxes and heat maps on RGB pictures, with OpenCV alone."""

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
# Pixels of a box's shorter side, below which its line is thin, so that what is in it can be seen.
_THIN = 28
_NEAREST = str.maketrans({"…": "...", "−": "-", "×": "x"})
# How much of a heat map's strongest colour covers the picture below it.
_COVER = 0.85


def write(
    picture: Picture, words: str, x: float, y: float, size: int, color: Color = INK, weight: int = REGULAR
) -> None:
    """Write a line in place; (x, y) is where its baseline begins, `size` its height in pixels."""
    place = (round(x), round(y))
    if _has_fonts():
        cv2.putText(picture, words, place, color, _font(), size, weight)
    else:
        plain, scale, thick = _plain(words, size, weight)
        cv2.putText(picture, plain, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, thick, cv2.LINE_AA)


def width_of(words: str, size: int, weight: int = REGULAR) -> int:
    """Pixels that a line takes."""
    if _has_fonts():
        return int(cv2.getTextSize((0, 0), words, (0, 0), _font(), size, weight)[2])
    plain, scale, thick = _plain(words, size, weight)
    return int(cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)[0][0])


def shortened(words: str, width: int, size: int, weight: int = REGULAR) -> str:
    """A line that fits: of one that is too long, the beginning and the end, which tell most of a file's name."""
    if width_of(words, size, weight) <= width:
        return words
    low, high = 0, min(len(words), width)  # no letter is narrower than a pixel
    while low < high:
        kept = (low + high + 1) // 2
        if width_of(_ends(words, kept), size, weight) <= width:
            low = kept
        else:
            high = kept - 1
    return _ends(words, low)


def wrapped(words: str, width: int, size: int) -> list[str]:
    """Lines that fit, broken between words."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def fill(picture: Picture, x: float, y: float, width: float, height: float, color: Color) -> None:
    """Paint a rectangle, in place."""
    picture[max(0, round(y)) : max(0, round(y + height)), max(0, round(x)) : max(0, round(x + width))] = color


def frame(picture: Picture, box: tuple[int, int, int, int], color: Color, label: str = "", size: int = 13) -> None:
    """Draw a box (x, y, width, height) in place, with a light edge that shows on dark ground, and a label on it."""
    x, y, w, h = box
    thick = 2 if min(w, h) >= _THIN else 1
    cv2.rectangle(picture, (x - thick, y - thick), (x + w - 1 + thick, y + h - 1 + thick), PAPER, 1)
    cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), color, thick)
    if not label:
        return
    wide, high = width_of(label, size, BOLD) + 8, size + 6
    left = min(max(0, x - 2), max(0, picture.shape[1] - wide))
    # Over the box; where that is outside, under it; where that is, too, inside.
    top = y - high if y >= high else y + h if y + h + high <= picture.shape[0] else max(0, y)
    fill(picture, left, top, wide, high, color)
    write(picture, label, left + 4, top + high - 5, size, PAPER, BOLD)


def overlaid(picture: Picture, values: NDArray[np.float64], scale: float) -> Picture:
    """A heat map over a picture without its colours.

    Args:
        picture: to lie below; the outcome has its size.
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
    """Resized to show: smoothly made smaller, smoothly made larger."""
    smaller = picture.shape[1] > width
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _ends(words: str, kept: int) -> str:
    half = kept // 2
    return f"{words[: kept - half]}…{words[len(words) - half :]}"


def _has_fonts() -> bool:
    """OpenCV 5 brings letters of printing; before, there are only strokes of a plotter."""
    return hasattr(cv2, "FontFace")


@cache
def _font() -> Any:
    return cv2.FontFace("sans")


def _plain(words: str, size: int, weight: int) -> tuple[str, float, int]:
    """For the plotter's letters, which are those of ASCII: words, scale, thickness."""
    plain = words.translate(_NEAREST).encode("ascii", "backslashreplace").decode()
    return plain, size / 30, 2 if weight > REGULAR and size > 14 else 1
