"""Error Level Analysis is compared with its definition."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scanner.imaging.ela import ela_map, error_levels, error_levels_at, statistics
from tests.pictures import noise


def definition(picture, quality):
    """Compute error levels step by step: save as JPEG, load, subtract."""
    bgr = picture[..., ::-1].copy()
    again = cv2.imdecode(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return np.abs(bgr.astype(int) - again)[..., ::-1]


@pytest.mark.parametrize("quality", [50, 75, 90, 95])
def test_error_levels_are_the_difference_to_a_copy_saved_once_more(astronaut, quality):
    levels = error_levels(astronaut, quality)
    assert levels.dtype == np.uint8
    assert np.array_equal(levels, definition(astronaut, quality))


def test_the_quality_is_90_by_default(astronaut):
    assert np.array_equal(error_levels(astronaut), definition(astronaut, 90))


def test_the_channels_are_those_of_the_picture():
    """A red picture errs in red."""
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = noise(32, 32)[..., 0]
    levels = error_levels(red, 50)
    assert levels[..., 0].mean() > levels[..., 2].mean()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 3)])
def test_small_pictures_have_levels(size):
    width, height = size
    assert error_levels(noise(width, height)).shape == (height, width, 3)


@pytest.mark.parametrize("quality", [50, 90, 95])
def test_the_levels_of_a_part_are_those_of_the_whole(astronaut, quality):
    picture = astronaut[:501, :397]
    levels = error_levels(picture, quality)
    for rows, columns in (
        (slice(0, 501), slice(0, 397)),
        (slice(37, 250), slice(101, 396)),
        (slice(400, 501), slice(0, 9)),
    ):
        assert np.array_equal(error_levels_at(picture, rows, columns, quality), levels[rows, columns])


def test_the_map_is_that_of_the_study():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    shown = [min(255, abs(80 * level - 30)) for level in range(256)]
    assert ela_map(levels).ravel().tolist() == shown
    assert shown[:4] == [30, 50, 130, 210]


def test_the_map_takes_other_scales():
    levels = np.array([[0, 1, 10, 100]], np.uint8)
    assert ela_map(levels, alpha=2, beta=5).tolist() == [[5, 7, 25, 205]]


def test_statistics_tell_faces_from_background():
    levels = np.zeros((40, 50, 3), np.uint8)
    levels[10:20, 5:25, 1] = 8  # the worst channel counts
    ela = statistics(levels, [(5, 10, 20, 10)], quality=75)
    assert (ela.quality, ela.face, ela.background) == (75, 8.0, 0.0)
    assert ela.mean == pytest.approx(8 * 200 / 2000)
    assert ela.p95 == 8.0


def test_overlapping_faces_count_once():
    levels = np.zeros((10, 10, 3), np.uint8)
    levels[:, :5] = 4
    assert statistics(levels, [(0, 0, 6, 10), (3, 0, 5, 10)]).face == pytest.approx(4 * 5 / 8)


def test_without_face_or_background_there_is_no_mean_of_it():
    levels = np.full((6, 6, 3), 3, np.uint8)
    assert statistics(levels, []).face is None
    assert statistics(levels, []).background == 3.0
    assert statistics(levels, [(0, 0, 6, 6)]).background is None


def test_a_part_from_another_file_stands_out(astronaut):
    """The patch was never a JPEG, and the picture round it was saved at the same quality."""
    jpeg = cv2.imencode(".jpg", astronaut, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    picture[200:264, 200:264] = noise(64, 64) // 4 + 96
    ela = statistics(error_levels(picture), [(200, 200, 64, 64)])
    assert ela.face > 3 * ela.background
