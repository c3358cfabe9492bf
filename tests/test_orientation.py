"""Pictures are turned upright as Chromium turns them."""

from __future__ import annotations

import numpy as np
import pytest

from scanner.imaging.decode import decode
from scanner.imaging.orientation import turn_upright
from tests import orientation_cases
from tests.chromium import drawn
from tests.pictures import scene


def find_orientation(picture):
    """Find the orientation with which a picture shows the scene."""
    shapes = {turn: turn_upright(scene(), turn) for turn in range(1, 9)}
    alike = {
        turn: np.abs(made - picture.astype(int)).mean() for turn, made in shapes.items() if made.shape == picture.shape
    }
    return min(alike, key=alike.get)


@pytest.mark.slow
@pytest.mark.parametrize("name", orientation_cases.table())
def test_files_are_turned_as_chromium_turns_them(name):
    _, data, orientation = orientation_cases.table()[name]
    assert find_orientation(decode(data).picture) == orientation


@pytest.mark.slow
def test_the_table_is_what_chromium_does(browser):
    page = browser.new_page()
    wrong = {}
    for name, (kind, data, orientation) in orientation_cases.table().items():
        shown = find_orientation(drawn(page, data, kind))
        if shown != orientation:
            wrong[name] = shown
    assert wrong == {}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_every_layout_is_turned(orientation, channels):
    """NumPy is the reference: EXIF 5 to 8 are stored sideways, then rows or columns are reversed."""
    pixels = np.arange(6 * 4 * max(channels, 1), dtype=np.uint16).reshape((6, 4, channels) if channels else (6, 4))
    expected = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    expected = expected[::-1] if orientation in (3, 4, 7, 8) else expected
    expected = expected[:, ::-1] if orientation in (2, 3, 6, 7) else expected
    assert turn_upright(pixels, orientation).reshape(expected.shape).tolist() == expected.tolist()
