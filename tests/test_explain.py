"""Where a detector looked: said by the model itself, or found out by covering places."""

from __future__ import annotations

import time

import numpy as np
import pytest

from scanner.detector.model import Detector
from scanner.evidence.explain import GRID, heat_maps, occlusion
from tests.onnx_models import SPOTS, write_spots
from train.onnx_export.activation import add_activation

RED, GREEN = (1, 4), (6, 2)  # places of the spots, of 8 x 8


def spotted() -> np.ndarray:
    """Grey, with a red spot, which speaks for fake, and a green one, which speaks for real."""
    picture = np.full((SPOTS, SPOTS, 3), 90, np.uint8)
    for (row, column), channel in ((RED, 0), (GREEN, 1)):
        picture[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, channel] = 255
    return picture


def place(index: int) -> tuple[int, int]:
    return divmod(int(index), GRID)


@pytest.fixture
def spots(tmp_path):
    """Detectors of spots."""

    def make(says_itself: bool, **options) -> Detector:
        file = write_spots(tmp_path / f"{len(list(tmp_path.iterdir()))}.onnx", **options)
        assert not says_itself or add_activation(file)
        return Detector(file)

    return make


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["n", 3])
@pytest.mark.parametrize("fake", [0, 1])
@pytest.mark.parametrize("says_itself", [True, False], ids=["activation", "occlusion"])
def test_the_map_follows_what_was_planted(spots, says_itself, fake, batch):
    detector = spots(says_itself, fake=fake, batch=batch)
    flipped = spotted()[::-1].copy()
    first, second = heat_maps(detector, [(spotted(),), (flipped,)], 8, seconds=60)
    assert place(first.argmax()) == RED
    assert place(first.argmin()) == GREEN
    assert first.max() > 0 > first.min()
    assert place(second.argmax()) == (GRID - 1 - RED[0], RED[1])


def test_both_ways_tell_the_same(spots):
    """Of a mean over places, what covering one takes away is what it added."""
    (itself,) = heat_maps(spots(True, pools=("GlobalAveragePool",), bias=0.0), [(spotted(),)], 8, seconds=60)
    (covered,) = heat_maps(spots(False, pools=("GlobalAveragePool",), bias=0.0), [(spotted(),)], 8, seconds=60)
    assert covered[RED] == pytest.approx(itself[RED], rel=0.1)
    assert covered[GREEN] == pytest.approx(itself[GREEN], rel=0.1)


def test_every_input_is_covered_at_the_same_place(spots):
    detector = spots(False, ela=True)
    grey, dark = np.full((SPOTS, SPOTS, 3), 90, np.uint8), np.full((SPOTS, SPOTS, 3), 30, np.uint8)
    levels = dark.copy()
    levels[12:16, 20:24, 0] = 255
    (seen,) = heat_maps(detector, [(grey, levels)], 8, seconds=60)
    assert place(seen.argmax()) == (3, 5)
    # Where neither input has anything, covering both changes nothing: levels are covered with those of an even surface.
    assert seen[0, 0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", [1, 5, 8, 64, 100])
def test_the_batch_does_not_matter(spots, size):
    detector = spots(False)
    (expected,) = heat_maps(detector, [(spotted(),)], 8, seconds=60)
    (seen,) = heat_maps(detector, [(spotted(),)], size, seconds=60)
    assert seen == pytest.approx(expected, abs=1e-5)


def test_when_the_time_is_up_there_is_no_map(spots):
    detector = spots(False)
    assert heat_maps(detector, [(spotted(),)] * 2, 8, seconds=-1) == [None, None]
    assert occlusion(detector, (spotted(),), 8, time.monotonic() + 60) is not None


def test_the_region_is_left_as_it_was(spots):
    picture = spotted()
    heat_maps(spots(False), [(picture,)], 8, seconds=60)
    assert np.array_equal(picture, spotted())
