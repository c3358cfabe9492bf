"""Draws the sheet that explains a score: a picture's faces, where the model looked, error levels and scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from scanner.detector.thresholds import Thresholds
from scanner.evidence.drawing import (
    BOLD,
    FADED,
    FOR_FAKE,
    FOR_REAL,
    INK,
    LINE,
    PAPER,
    VERDICTS,
    Color,
    enlarged,
    fill,
    frame,
    overlaid,
    shortened,
    width_of,
    wrapped,
    write,
)
from scanner.evidence.explain import HeatMap
from scanner.imaging.decode import Picture
from scanner.printable import on_one_line
from scanner.result import Result, Verdict

# Pixels.
_EDGE, _GAP = 32, 20
_TILE = 248
_SIDE = 320  # the column of the picture
_HEAD, _TITLES, _SCORE, _LEGEND = 104, 54, 62, 46
_WIDTH = 2 * _EDGE + _SIDE + 3 * (_GAP + _TILE)
_LEFT = _EDGE + _SIDE + _GAP  # of the first tile
_PALE = 0.82  # share of the paper's colour in a zone's
_LEAST = (
    0.01  # log-odds of the strongest colour, at least: smaller differences mean nothing, and must not be shown as much
)
_CAUTION = (
    "What moved the score is no proof of what was altered, or that anything was: the map shows what the model went by, "
    "also where it is wrong. Error levels stand out at edges and in fine structure, too."
)


@dataclass(frozen=True, slots=True)
class ShownFace:
    """Holds what a sheet shows of one face, or of a picture that was judged as a whole.

    Attributes:
        number: index into the row's faces.
        p_fake: its score, 0..1.
        pixels: what the model was shown, RGB uint8 (height, width, 3).
        levels: the map of its error levels, as large; None if a side is too long for that.
        heat: log-odds of fake by place (h, w); None if finding them would have taken too long.
    """

    number: int
    p_fake: float
    pixels: Picture
    levels: Picture | None
    heat: HeatMap | None


@dataclass(frozen=True, slots=True)
class Captions:
    """Holds what all sheets of a scan say alike.

    Attributes:
        model: name and version of the model.
        sha256: of the model's file, in hexadecimal.
        unit: of the heat map's values.
        quality: of the JPEG copy that error levels are differences to.
        min_face: pixels; smaller faces were not judged.
    """

    model: str
    sha256: str
    unit: str
    quality: int
    min_face: int


def draw_sheet(
    row: Result,
    frame_number: int,
    picture: Picture,
    faces: Sequence[ShownFace],
    thresholds: Thresholds,
    captions: Captions,
) -> Picture:
    """Draw the sheet of a picture.

    Args:
        row: of the picture, with its verdict.
        frame_number: of the frame or page that is shown.
        picture: that frame, RGB uint8 (height, width, 3), upright.
        faces: to show, the highest p_fake first; empty if no face was judged.
        thresholds: that turned the score into the verdict.
        captions: of all sheets.

    Returns:
        RGB uint8 (height, width, 3).
    """
    facts = _facts(row, frame_number, thresholds, captions)
    shown_height = _fitted(picture, _SIDE, _SIDE * 5 // 4)[1]
    rows_height = len(faces) * (_SCORE + _TILE + _GAP) + _LEGEND if faces else 0
    side_height = shown_height + _GAP + 22 * len(facts)
    caution = wrapped(_CAUTION, _WIDTH - 2 * _EDGE, 14)
    body = max(_TITLES + rows_height, side_height)
    sheet = np.full((_HEAD + body + _GAP + 20 * len(caution) + _EDGE, _WIDTH, 3), PAPER[0], np.uint8)
    _draw_head(sheet, row)
    _draw_side(sheet, row, frame_number, picture, facts, thresholds)
    if faces:
        _draw_rows(sheet, row, faces, thresholds, captions)
    else:
        _draw_nothing(sheet, row, captions)
    y = _HEAD + body + _GAP
    fill(sheet, _EDGE, y, _WIDTH - 2 * _EDGE, 1, LINE)
    for i, line in enumerate(caution):
        write(sheet, line, _EDGE, y + 24 + 20 * i, 14, FADED)
    return sheet


def _draw_head(sheet: Picture, row: Result) -> None:
    name = on_one_line(os.path.basename(row.path) or row.path)
    verdict = row.verdict.value.replace("_", " ") + ("" if row.p_fake is None else f"  {row.p_fake:.4f}")
    wide = width_of(verdict, 22, BOLD) + 28
    fill(sheet, _WIDTH - _EDGE - wide, 28, wide, 44, VERDICTS[row.verdict])
    write(sheet, verdict, _WIDTH - _EDGE - wide + 14, 58, 22, PAPER, BOLD)
    write(sheet, shortened(name, _WIDTH - 2 * _EDGE - wide - _GAP, 26, BOLD), _EDGE, 60, 26, INK, BOLD)
    fill(sheet, _EDGE, 86, _WIDTH - 2 * _EDGE, 1, LINE)


def _facts(row: Result, frame_number: int, thresholds: Thresholds, captions: Captions) -> list[tuple[str, str]]:
    frames = [("frame", f"{frame_number + 1} of {row.frames}")] if (row.frames or 1) > 1 else []
    return [
        *frames,
        ("picture", f"{row.width} x {row.height} px, {row.format}, {row.bytes:,} bytes"),
        ("sha256", row.sha256[:32]),
        ("", row.sha256[32:]),
        ("model", f"{captions.model}, sha256 {captions.sha256[:12]}…"),
        ("fake", f"from {thresholds.fake:.4f}"),
        ("uncertain", f"from {thresholds.uncertain:.4f}"),
    ]


def _draw_side(
    sheet: Picture,
    row: Result,
    frame_number: int,
    picture: Picture,
    facts: Sequence[tuple[str, str]],
    thresholds: Thresholds,
) -> None:
    """Draw the whole picture with its boxes, and the facts below it."""
    width, height = _fitted(picture, _SIDE, _SIDE * 5 // 4)
    small = enlarged(picture, width, height)
    scale = width / picture.shape[1]
    for number, face in reversed([*enumerate(row.faces)]):  # the first ones on top
        if face.frame != frame_number:
            continue
        box = tuple(round(side * scale) for side in face.box)
        color = FADED if face.p_fake is None else VERDICTS[thresholds.verdict(face.p_fake)]
        frame(small, (box[0], box[1], max(2, box[2]), max(2, box[3])), color, str(number), 11)
    sheet[_HEAD : _HEAD + height, _EDGE : _EDGE + width] = small
    y = _HEAD + height + _GAP
    for i, (label, words) in enumerate(facts):
        write(sheet, label, _EDGE, y + 14 + 22 * i, 13, FADED)
        write(sheet, shortened(words, _SIDE - 72, 12), _EDGE + 72, y + 14 + 22 * i, 12)


def _draw_rows(
    sheet: Picture, row: Result, faces: Sequence[ShownFace], thresholds: Thresholds, captions: Captions
) -> None:
    height, width = faces[0].pixels.shape[:2]
    what = "The face" if row.faces else "The picture"
    titles = [
        (what, f"as the model saw it, {width} x {height} px"),
        ("Where the model looked", "orange spoke for fake, blue for real"),
        ("Error levels", f"what saving as JPEG {captions.quality} changes"),
    ]
    for i, (title, words) in enumerate(titles):
        write(sheet, title, _column(i), _HEAD + 16, 17, INK, BOLD)
        write(sheet, words, _column(i), _HEAD + 37, 13, FADED)
    scale = max([_LEAST, *(float(abs(one.heat).max()) for one in faces if one.heat is not None)])
    y = _HEAD + _TITLES
    for one in faces:
        _draw_score(sheet, f"Face {one.number}" if row.faces else "Score", one.p_fake, thresholds, y)
        y += _SCORE
        _draw_tile(sheet, one.pixels, 0, y, "")
        heat = None if one.heat is None else overlaid(_tile(one.pixels), one.heat, scale)
        _draw_tile(sheet, heat, 1, y, "it would have taken too long to find out")
        _draw_tile(sheet, one.levels, 2, y, "a side is too long for a JPEG copy")
        y += _TILE + _GAP
    _draw_legend(sheet, scale, captions.unit, y - 4)
    hidden = sum(face.p_fake is not None for face in row.faces) - len(faces)
    if hidden > 0:
        write(sheet, f"{hidden} more faces, with lower scores", _LEFT, y + 6, 13, FADED)


def _draw_score(sheet: Picture, label: str, p_fake: float, thresholds: Thresholds, y: int) -> None:
    """Draw one face's score on the scale from 0 to 1, over the zones of the verdicts."""
    verdict = thresholds.verdict(p_fake)
    write(sheet, label, _LEFT, y + 20, 17, INK, BOLD)
    write(sheet, f"{verdict.value}  {p_fake:.4f}", _LEFT, y + 43, 17, VERDICTS[verdict], BOLD)
    left, width, top, high = _column(1), _column(2) + _TILE - _column(1), y + 14, 12
    zones = [
        (0.0, thresholds.uncertain, Verdict.REAL),
        (thresholds.uncertain, thresholds.fake, Verdict.UNCERTAIN),
        (thresholds.fake, 1.0, Verdict.FAKE),
    ]
    for start, end, zone in zones:
        color = tuple(round(channel * (1 - _PALE) + 255 * _PALE) for channel in VERDICTS[zone])
        fill(sheet, left + start * width, top, (end - start) * width, high, (color[0], color[1], color[2]))
        words = zone.value if width_of(zone.value, 12) < (end - start) * width else ""
        write(sheet, words, left + ((start + end) * width - width_of(words, 12)) / 2, top + high + 16, 12, FADED)
    for threshold in (thresholds.uncertain, thresholds.fake):
        fill(sheet, left + threshold * width, top - 3, 1, high + 6, FADED)
    at = round(left + p_fake * width)
    cv2.circle(sheet, (at, top + high // 2), 9, PAPER, -1, cv2.LINE_AA)
    cv2.circle(sheet, (at, top + high // 2), 7, VERDICTS[verdict], -1, cv2.LINE_AA)


def _draw_tile(sheet: Picture, pixels: Picture | None, column: int, y: int, otherwise: str) -> None:
    x = _column(column)
    if pixels is None:
        fill(sheet, x, y, _TILE, _TILE, LINE)
        for i, line in enumerate(wrapped(otherwise, _TILE - 40, 14)):
            write(sheet, line, x + 20, y + _TILE // 2 + 20 * i, 14, FADED)
        return
    tile = _tile(pixels)
    sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile


def _draw_legend(sheet: Picture, scale: float, unit: str, y: int) -> None:
    """Draw the legend of the heat maps' colours."""
    ramp = np.linspace(-1.0, 1.0, _TILE)[None]
    ground = np.full((10, _TILE, 3), 150, np.uint8)
    x = _column(1)
    sheet[y : y + 10, x : x + _TILE] = overlaid(ground, ramp, 1.0)
    ends: list[tuple[float, str, Color]] = [
        (x, f"−{scale:.2g} real", FOR_REAL),
        (x + _TILE - width_of(f"fake +{scale:.2g}", 13, BOLD), f"fake +{scale:.2g}", FOR_FAKE),
        (x + (_TILE - width_of("0", 13)) / 2, "0", FADED),
    ]
    for left, words, color in ends:
        write(sheet, words, left, y + 26, 13, color, BOLD)
    for i, line in enumerate(wrapped(unit, _TILE, 13)):
        write(sheet, line, _column(2), y + 10 + 18 * i, 13, FADED)


def _draw_nothing(sheet: Picture, row: Result, captions: Captions) -> None:
    found = len(row.faces)
    if not found:
        lines = ["No face was found.", "The model judges faces, so there is nothing to explain."]
    else:
        count = "One face was found," if found == 1 else f"{found} faces were found,"
        largest = max(min(face.box[2:]) for face in row.faces)
        lines = [
            f"{count} {largest} px across{'' if found == 1 else ' at most'}.",
            f"None is judged that is smaller than {captions.min_face} px (--min-face).",
        ]
    write(sheet, lines[0], _LEFT, _HEAD + 22, 22, INK, BOLD)
    write(sheet, lines[1], _LEFT, _HEAD + 52, 16, FADED)


def _column(number: int) -> int:
    return _LEFT + number * (_TILE + _GAP)


def _tile(pixels: Picture) -> Picture:
    width, height = _fitted(pixels, _TILE, _TILE)
    return enlarged(pixels, width, height)


def _fitted(picture: Picture, width: int, height: int) -> tuple[int, int]:
    """Return the width and height of a picture that is scaled to fit into these, in pixels."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    return max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
