"""Where a detector looked: what each place of a region did to the score.

A model whose card names an `activation` says it itself. Of any other, places are covered in turn, and the score is
watched: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", arXiv:1311.2901 (2013), section 4.2.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.detector.card import Card
from scanner.detector.model import Detector, Region

# Places a side, and the part of a side that is covered round each: neighbours overlap by half.
GRID = 8
PATCH = 0.25

# Log-odds of fake by place (h, w): above 0 it spoke for fake.
HeatMap = NDArray[np.float64]


def heat_maps(detector: Detector, regions: Sequence[Region], batch_size: int, seconds: float) -> list[HeatMap | None]:
    """One for each region; None for those that would take longer than there is time.

    Args:
        detector: that scored them.
        regions: made by `model.prepare`.
        batch_size: regions shown to it at once.
        seconds: after which no further region is begun, nor one gone on with.
    """
    size = detector.batch or batch_size
    if detector.card.activation:
        return [*_in_batches(detector.contributions, regions, size, detector.batch is not None)]
    deadline = time.monotonic() + seconds
    return [occlusion(detector, region, size, deadline) for region in regions]


def occlusion(detector: Detector, region: Region, batch_size: int, deadline: float) -> HeatMap | None:
    """What covering each of `GRID` x `GRID` places takes from the log-odds of fake; None after the deadline.

    Every input is covered at the same place: pictures with their mean colour, maps of error levels with what an even
    surface shows there.

    Args:
        detector: any.
        region: one.
        batch_size: regions shown to it at once.
        deadline: of `time.monotonic`.
    """
    fixed = detector.batch is not None
    (whole,) = _in_batches(detector.logits, [region], batch_size, fixed)
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
        left += _in_batches(detector.logits, covered, batch_size, fixed)
    return whole - np.array(left, np.float64).reshape(GRID, GRID)


def _in_batches(
    run: Callable[[Sequence[Region]], NDArray[np.float64]], regions: Sequence[Region], size: int, fixed: bool
) -> list[NDArray[np.float64]]:
    """Outcomes by region; if `fixed`, of batches that are all of this size."""
    outcomes: list[NDArray[np.float64]] = []
    for start in range(0, len(regions), size):
        batch = [*regions[start : start + size]]
        padding = batch[:1] * (size - len(batch) if fixed else 0)
        outcomes += [*run(batch + padding)[: len(batch)]]
    return outcomes


def _cover(pixels: NDArray[np.uint8], number: int, card: Card) -> NDArray[np.uint8]:
    """What to cover an input with: (3,) uint8."""
    spec = card.inputs[number]
    if spec.content == "ela":  # where nothing changes, the level is 0
        return np.full(3, min(255, abs(round(spec.ela["beta"]))), np.uint8)
    mean: NDArray[np.uint8] = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    return mean


def _covered(pixels: NDArray[np.uint8], place: tuple[int, int], cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy with a patch round the centre of a place."""
    patched = pixels.copy()
    rows, columns = (
        slice(max(0, round(side * (centre - PATCH / 2))), round(side * (centre + PATCH / 2)))
        for side, centre in zip(pixels.shape, ((index + 0.5) / GRID for index in place), strict=False)
    )
    patched[rows, columns] = cover
    return patched
