"""Looks again at a place where a face may be: by itself, and in eight directions.

The network finds faces that lie on their side or upside down, though not reliably, and calls them upright: its five
points tell a tilt of 30 degrees as 3 to 20. Its score says more. In a view in which the face is 48 pixels large, no
direction scores as high as the upright one: the best of four quarter turns was the right one of 160 portraits in 160.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.faces.yunet import Detections, YuNet
from scanner.imaging.crop import normalise_degrees
from scanner.imaging.pyramid import Pyramid, View

# Pixels of the view, and of the face in it. Eight of them take 2.5 ms.
VIEW, FACE = 96, 48
# Degrees from one direction to the next.
STEP = 45
UPSIDE_DOWN = 180 // STEP
# How much better another direction has to be than the upright one.
FAVOUR = 0.02
# The power of the scores that the directions on both sides of the best one weigh with. The direction in between was
# right to 3 degrees in the median, to 15 in nine cases of ten.
SHARPNESS = 16
# Up to so many degrees a face is not tilted.
LEVEL = 15
# A face that scores as much, and whose mouth stands straight below its eyes, within so many degrees, is upright. Small
# faces score less: from SMALLER on, for each pixel that the network sees of them. Four in five upright portraits pass,
# and of those tilted by 30 degrees one in twenty (of smaller faces one in three), of quarter turns none.
CLEAR, SMALLER, STRAIGHT = 0.92, (0.635, 0.0052), 8.0
# A face that scores as much in an upright view does not lie on its side: quarter turns need no look then, unless the
# upside-down view beats the upright one and its neighbours. At 0.8 the search is faster, and misses two quarter turns
# in 240.
SIDEWAYS = 0.86
# What scores less in a view is nothing; what scores less in every quarter turn is not worth four looks more.
LEAST, HOPE = 0.1, 0.5
# Pixels of a place that is worth a look.
ENOUGH = 28


@dataclass(frozen=True, slots=True)
class Spot:
    """A place where a face may be.

    Attributes:
        box: x, y, width, height in pixels of the picture; float.
        score: the network's, where the face was found.
        points: (5, 2): eyes, nose, corners of the mouth; x, y in pixels of the picture.
        sure: the best score in any direction.
        pixels: the longer side of the face as the network saw it.
        turn: degrees by which the face is turned clockwise, over -180 and up to 180.
    """

    box: NDArray[np.float64]
    score: float
    points: NDArray[np.float64]
    sure: float
    pixels: float
    turn: int = 0

    @property
    def side(self) -> float:
        """The longer side of the box."""
        return float(max(self.box[2:]))

    @property
    def centre(self) -> NDArray[np.float64]:
        """Of the box."""
        centre: NDArray[np.float64] = self.box[:2] + self.box[2:] / 2
        return centre

    @property
    def needs_a_look(self) -> bool:
        """Whether it is not clear yet what is there, and the picture has enough pixels there to tell more."""
        return self.side >= ENOUGH and not is_clearly_upright(
            self.score, self.points, SMALLER[0] + SMALLER[1] * self.pixels
        )


def is_clearly_upright(score: float, points: NDArray[Any], enough: float = CLEAR) -> bool:
    """Whether a face is neither turned nor tilted.

    Args:
        score: of the face.
        points: (5, 2): eyes, nose, corners of the mouth.
        enough: what the face has to score, if that is less than `CLEAR`.
    """
    across, down = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    return score >= min(CLEAR, enough) and abs(float(np.degrees(np.arctan2(across, down)))) <= STRAIGHT


def look_again(network: YuNet, pyramid: Pyramid, spot: Spot, keep: bool) -> Spot:
    """Say in which direction the face lies, and how sure it is that there is one.

    Args:
        network: the face finder's.
        pyramid: the picture.
        spot: the place, as it was found.
        keep: whether a face that is not tilted keeps the box, the score and the points that it was found with.
    """
    x, y = spot.centre
    side = spot.side * VIEW / FACE
    views = [View(x, y, side, turn, VIEW) for turn in range(0, 360, STEP)]
    faces: list[Detections | None] = [None] * len(views)

    def look(*numbers: int) -> int:
        """Look in some of the directions, each once, and tell which of all is the best by now."""
        new = [number for number in numbers if faces[number] is None]
        seen = network.detect([pyramid.view(views[number]) for number in new], LEAST) if new else []
        for number, found in zip(new, seen, strict=True):
            faces[number] = _middle(found, VIEW)
        return max(range(len(views)), key=lambda number: _score(faces[number]) + (0.0 if number else FAVOUR))

    look(0)
    upright = faces[0]
    if upright and len(upright.scores) and is_clearly_upright(_score(upright), upright.points[0]):
        sure = max(spot.sure, _score(upright))
        return replace(spot, sure=sure) if keep else _found_in(views[0], upright, sure)
    may_lie_on_its_side = not keep or _score(upright) < SIDEWAYS
    best = UPSIDE_DOWN if may_lie_on_its_side else look(1, UPSIDE_DOWN, 7)
    if best == UPSIDE_DOWN:
        best = look(2, 4, 6)
        if _score(faces[best]) < HOPE:
            return spot
    best = look((best - 1) % len(views), (best + 1) % len(views))
    scores = [_score(face) for face in faces]
    turn, sure = _between(scores, best), max(spot.sure, scores[best])
    if keep and abs(turn) <= LEVEL:
        return replace(spot, sure=sure, turn=turn)
    # Once more, level and, where there are pixels for it, larger, for a box as exact as that of an upright face.
    face = faces[best]
    assert face is not None
    ((x, y),) = views[best].in_picture(_centres(face))
    view = View(x, y, side, turn, VIEW if spot.side <= FACE else 2 * VIEW)
    (seen,) = network.detect([pyramid.view(view)], LEAST)
    level = _middle(seen, view.pixels)
    if _score(level) < HOPE:
        return replace(spot, sure=sure, turn=turn)
    return _found_in(view, level, max(sure, _score(level)))


def _found_in(view: View, seen: Detections, sure: float) -> Spot:
    """Translate the best face in a view to a place in the picture, turned as the view is.

    Args:
        view: what was looked at.
        seen: the faces in it; there must be one.
        sure: the best score in any direction.
    """
    turn = normalise_degrees(round(view.turn))
    (centre,) = view.in_picture(_centres(seen))
    sides = seen.boxes[0, 2:][::-1] if round(turn / 90) % 2 else seen.boxes[0, 2:]
    size = sides.astype(np.float64) * (view.side / view.pixels)
    box = np.concatenate([centre - size / 2, size])
    pixels = float(max(seen.boxes[0, 2:]))
    return Spot(box, _score(seen), view.in_picture(seen.points[0]), sure, pixels, turn)


def _between(scores: Sequence[float], best: int) -> int:
    """The direction, in whole degrees, that the best of the scores and its two neighbours speak for."""
    weights = [scores[(best + i) % len(scores)] ** SHARPNESS for i in (-1, 0, 1)]
    angles = np.radians([-STEP, 0, STEP])
    off = np.degrees(np.arctan2(np.dot(weights, np.sin(angles)), np.dot(weights, np.cos(angles))))
    return normalise_degrees(best * STEP + round(float(off)))


def _score(seen: Detections | None) -> float:
    return float(seen.scores[0]) if seen is not None and len(seen.scores) else 0.0


def _centres(seen: Detections) -> NDArray[Any]:
    centres: NDArray[Any] = seen.boxes[:, :2] + seen.boxes[:, 2:] / 2
    return centres


def _middle(seen: Detections, pixels: int) -> Detections:
    """The best of the faces whose centre is near the middle of a view, if there is one."""
    off = np.abs(_centres(seen) - pixels / 2).max(axis=1, initial=0.0)
    near = np.flatnonzero(off < pixels * FACE / VIEW / 2)[:1]
    return Detections(seen.boxes[near], seen.scores[near], seen.points[near])
