"""Finds out where a detector looked: how much each place of a region moved the score.

A model whose card names an `activation` computes that itself. For others, places are covered in turn, and the change of
the score is measured: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", arXiv:1311.2901
(2013), section 4.2.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.detector.card import Card
from scanner.detector.model import Detector, Region

# Places along a side, and the part of the side that is covered around each: neighbours overlap by half.
GRID = 8
PATCH = 0.25

# Log-odds of fake by place (h, w): what raised the score is above 0.
HeatMap = NDArray[np.float64]


def heat_maps(detector: Detector, regions: Sequence[Region], batch_size: int, seconds: float) -> list[HeatMap | None]:
    """Return a map for each region; None for those that would take longer than there is time.

    Args:
        detector: that scored them.
        regions: made by `model.prepare`.
        batch_size: regions that it scores at once.
        seconds: that all maps may take.

    Raises:
        FacescanError: the model fails.
    """
    if detector.card.activation:
        return [*detector.contributions(regions, batch_size)]
    deadline = time.monotonic() + seconds
    return [occlusion(detector, region, batch_size, deadline) for region in regions]


def occlusion(detector: Detector, region: Region, batch_size: int, deadline: float) -> HeatMap | None:
    """Return what covering each of `GRID` x `GRID` places takes from the log-odds of fake; None after the deadline.

    Every input is covered at the same place: pictures with their mean colour, maps of error levels with what an even
    surface shows there.

    Args:
        detector: that scored the region.
        region: made by `model.prepare`.
        batch_size: regions that it scores at once.
        deadline: of `time.monotonic`.

    Raises:
        FacescanError: the model fails.
    """
    (whole,) = detector.logits([region], batch_size)
    covers = [_cover(pixels, i, detector.card) for i, pixels in enumerate(region)]
    places = [(row, column) for row in range(GRID) for column in range(GRID)]
    left: list[NDArray[np.float64]] = []
    for start in range(0, len(places), batch_size):
        if time.monotonic() > deadline:
            return None
        covered = [
            tuple(_covered(pixels, place, cover) for pixels, cover in zip(region, covers, strict=True))
            for place in places[start : start + batch_size]
        ]
        left += [*detector.logits(covered, batch_size)]
    lost: HeatMap = whole - np.array(left, np.float64).reshape(GRID, GRID)
    return lost


def _cover(pixels: NDArray[np.uint8], number: int, card: Card) -> NDArray[np.uint8]:
    """Return the colour to cover an input with, (3,) uint8."""
    spec = card.inputs[number]
    if spec.content == "ela":  # where nothing changes, the level is 0
        return np.full(3, min(255, abs(round(spec.ela["beta"]))), np.uint8)
    mean: NDArray[np.uint8] = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    return mean


def _covered(pixels: NDArray[np.uint8], place: tuple[int, int], cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy of an input with a patch of the colour `cover` around the centre of a place, (row, column)."""
    patched = pixels.copy()
    rows, columns = (
        slice(max(0, round(side * (centre - PATCH / 2))), round(side * (centre + PATCH / 2)))
        for side, centre in zip(pixels.shape, ((index + 0.5) / GRID for index in place), strict=False)
    )
    patched[rows, columns] = cover
    return patched
