"""Finds the faces of a picture: large and small, upright and turned, each with the angle at which it lies.

A picture is searched at several sizes (a face that fills a large picture is only found in a small copy of it, a small
face only in a large one). Where the network sees something that is not clearly an upright face, it looks again, at that
place alone and in eight directions: it finds faces that lie on their side, or upside down, but not reliably, and its
five points tell a tilt of 30 degrees as 3 to 20.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scanner.faces.second_look import ENOUGH, Spot, look_again
from scanner.faces.yunet import MODEL, NMS_IOU, YuNet
from scanner.imaging.crop import Box, normalise_degrees
from scanner.imaging.decode import Picture
from scanner.imaging.pyramid import Pyramid

# Long sides, in pixels, at which a picture is searched.
SIZES = (320, 640, 1280)
# A cell that scores lower is no face. At 0.6, 94 % of bare faces are found, and none in 120 faceless pictures.
MIN_SCORE = 0.6
# A place that scores as much is looked at again.
WEAK = 0.15
# A face that scores as much in some direction ends the search, unless smaller ones may be left.
SURE = 0.8
# A weak place that scores as much in some direction is a face. Of 60 faces of 28 to 90 pixels all did but one, of 180
# places in faceless pictures none.
PROVEN = 0.88
# Pixels of a face whose picture is searched at the next size as well: there may be smaller ones.
SMALL = 20
# Pixels of a picture's long side from which on it is searched at another size, too, whatever the first one shows. That
# costs half of what 640 pixels do: 112 pixels beside a large face in 4000 were found 22 times of 24, not 23 times.
LARGE, BESIDE = 1920, 512
# Long side at which a picture in which nothing is sure is searched turned. Smaller faces than that shows are seen,
# weakly, in the upright picture.
TURNED = 128
# Weak places that are looked at again at one size, at most; 3 ms each.
MOST_LOOKS = 24


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face as the finder sees it.

    Attributes:
        box: x, y, width, height in pixels of the picture, inside it; of a tilted face, as if it were level.
        score: the network's confidence, 0..1.
        points: x, y of the eyes, the nose and the corners of the mouth, in pixels of the picture.
        turn: degrees by which the face is turned clockwise in the picture, over -180 and up to 180; 0 of a face that is
            clearly upright.
    """

    box: Box
    score: float
    points: tuple[tuple[float, float], ...] = ()
    turn: int = 0


class FaceFinder:
    """Owns the network. `find` may be called from several threads at once."""

    def __init__(self, model: Path = MODEL) -> None:
        self.network = YuNet(model)

    def find(
        self, picture: Picture, sizes: Sequence[int] = SIZES, min_score: float = MIN_SCORE
    ) -> tuple[FoundFace, ...]:
        """Search the picture as it is, and once more turned if that shows that its faces lie turned.

        Args:
            picture: RGB uint8 (height, width, 3).
            sizes: long sides, in pixels, to shrink the picture to; it is never enlarged. The first one is always
                searched, the next ones where smaller faces may be left (see `_goes_on`).
            min_score: cells that score lower are no face.

        Returns:
            The faces, best score first.
        """
        pyramid = Pyramid(picture)
        spots = self._search(pyramid, sizes, min_score)
        quarters = self._quarters(pyramid, spots, min_score)
        if quarters:
            turned = Pyramid(np.ascontiguousarray(np.rot90(picture, quarters)))
            again = self._search(turned, sizes, min_score)
            if any(spot.sure >= PROVEN for spot in again):
                upright = [_turned_back(spot, quarters, turned.size) for spot in again]
                spots = upright + [spot for spot in spots if not _is_known(spot, upright, upright)]
        ordered = sorted(spots, key=lambda spot: -spot.score)
        return tuple(face for spot in ordered if (face := _in_whole_pixels(spot, pyramid.size)))

    def _search(self, pyramid: Pyramid, sizes: Sequence[int], min_score: float) -> list[Spot]:
        found: list[Spot] = []
        for number, size in enumerate(sizes):
            if number and not _goes_on(found, max(pyramid.size) / sizes[number - 1]):
                if number == 1 and max(pyramid.size) >= LARGE:
                    found = self._search_at(pyramid, BESIDE, found, min_score)
                break
            found = self._search_at(pyramid, size, found, min_score)
        return found

    def _search_at(self, pyramid: Pyramid, size: int, known: list[Spot], min_score: float) -> list[Spot]:
        """Add what this size shows to the faces that others showed."""
        found, looks = [*known], 0
        for spot in self._spots(pyramid, size, min(WEAK, min_score)):
            if _is_known(spot, known if spot.score >= min_score else found, found):
                continue
            if spot.score < min_score:
                looks += 1
                if looks > MOST_LOOKS or not spot.needs_a_look:
                    continue
                spot = look_again(self.network, pyramid, spot, keep=False)
                if spot.sure < PROVEN or _is_known(spot, found, found):
                    continue
            elif spot.needs_a_look:
                spot = look_again(self.network, pyramid, spot, keep=True)
            found.append(spot)
        return found

    def _spots(self, pyramid: Pyramid, size: int, min_score: float) -> Iterable[Spot]:
        width, height = pyramid.size
        scale = min(1.0, size / max(width, height))
        small_w, small_h = max(1, round(width * scale)), max(1, round(height * scale))
        (seen,) = self.network.detect([pyramid.shrunk(small_w, small_h)], min_score)
        factor = np.array([width / small_w, height / small_h])
        for box, score, points in zip(seen.boxes, seen.scores, seen.points, strict=True):
            yield Spot(box * np.tile(factor, 2), float(score), points * factor, float(score), float(max(box[2:])))

    def _quarters(self, pyramid: Pyramid, spots: Sequence[Spot], min_score: float) -> int:
        """By how many quarter turns, counter-clockwise, the picture's faces come upright."""
        sure = [spot for spot in spots if spot.sure >= SURE]
        if sure:
            largest = max(sure, key=lambda spot: spot.box[2] * spot.box[3])
            return round(largest.turn / 90) % 4
        width, height = pyramid.size
        scale = min(1.0, TURNED / max(width, height))
        small = pyramid.shrunk(max(1, round(width * scale)), max(1, round(height * scale)))
        (down,) = self.network.detect([np.rot90(small, 2)], min_score)
        left, right = self.network.detect([np.rot90(small), np.rot90(small, 3)], min_score)
        scores = [seen.scores.max(initial=0.0) for seen in (left, down, right)]
        best = max(spot.score for spot in spots) if spots else min_score
        return 1 + scores.index(max(scores)) if max(scores) > best else 0


def _goes_on(found: Sequence[Spot], shrunk_by: float) -> bool:
    """Whether to search at a larger size: there may be faces that a picture shrunk by this factor did not show."""
    if shrunk_by <= 1:
        return False  # a larger size would only show the same pixels again
    if not any(spot.sure >= SURE for spot in found):
        return True
    if SMALL * shrunk_by < ENOUGH:
        return False  # what may have been missed is too small to tell anything of
    return min(spot.side for spot in found) < SMALL * shrunk_by


def _is_known(spot: Spot, sure_of: Sequence[Spot], found: Sequence[Spot]) -> bool:
    """Whether a place is one of the faces found, or lies inside one that is sure."""
    x, y = spot.centre
    inside = any(
        other.sure >= SURE and 0 <= x - other.box[0] <= other.box[2] and 0 <= y - other.box[1] <= other.box[3]
        for other in sure_of
    )
    return inside or any(_overlap(spot, other) > NMS_IOU for other in found)


def _overlap(one: Spot, other: Spot) -> float:
    """Intersection over union of two boxes."""
    x, y, w, h = map(float, one.box)
    u, v, s, t = map(float, other.box)
    shared = max(0.0, min(x + w, u + s) - max(x, u)) * max(0.0, min(y + h, v + t) - max(y, v))
    return shared / (w * h + s * t - shared)


def _turned_back(spot: Spot, quarters: int, size: tuple[int, int]) -> Spot:
    """What was found in a picture that was turned -> the same in the picture as it is.

    Args:
        spot: in the turned picture.
        quarters: how many quarter turns counter-clockwise it was turned by.
        size: width and height of the turned picture.
    """
    places, (width, height) = np.vstack([spot.centre, spot.points]), size
    for _ in range(quarters):
        places = np.column_stack([height - places[:, 1], places[:, 0]])
        width, height = height, width
    sides = spot.box[2:][::-1] if quarters % 2 else spot.box[2:]
    box = np.concatenate([places[0] - sides / 2, sides])
    return replace(spot, box=box, points=places[1:], turn=normalise_degrees(spot.turn + 90 * quarters))


def _in_whole_pixels(spot: Spot, size: tuple[int, int]) -> FoundFace | None:
    """The face, its box inside the picture; None if nothing of it is."""
    x, y, w, h = spot.box
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(size[0], round(x + w)), min(size[1], round(y + h))
    if right <= left or bottom <= top:
        return None
    points = tuple((float(x), float(y)) for x, y in spot.points)
    return FoundFace((left, top, right - left, bottom - top), round(spot.score, 4), points, spot.turn)
