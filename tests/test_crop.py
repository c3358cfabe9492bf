"""The geometry between a picture and what a model sees of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.crop import shrink, shrink_fast, square_crop
from tests.pictures import difference, scene

SIDES = st.integers(1, 300)


@st.composite
def picture_and_box(draw):
    """A picture's size, and a box that lies inside of it."""
    width, height = draw(SIDES), draw(SIDES)
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return width, height, (x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))


def cut(picture, box, margin):
    rows, columns = square_crop(picture, box, margin)
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


@given(picture_and_box(), st.floats(0, 4))
def test_a_crop_is_a_square_inside_the_picture(sizes, margin):
    width, height, box = sizes
    x, y, w, h = cut(np.zeros((height, width, 3), np.uint8), box, margin)
    assert w == h >= 1
    assert x >= 0
    assert y >= 0
    assert x + w <= width
    assert y + h <= height


@given(picture_and_box(), st.floats(0, 4))
def test_a_crop_holds_as_much_of_the_face_as_fits(sizes, margin):
    width, height, (x, y, w, h) = sizes
    left, top, side, _ = cut(np.zeros((height, width, 3), np.uint8), (x, y, w, h), margin)
    if max(w, h) <= min(width, height):
        assert left <= x
        assert top <= y
        assert left + side >= x + w
        assert top + side >= y + h


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((40, 30, 20, 20), 0.0, (40, 30, 20, 20)),
        ((40, 30, 20, 10), 0.0, (40, 25, 20, 20)),  # a wide box: higher, about the same centre
        ((40, 30, 10, 20), 0.0, (35, 30, 20, 20)),
        ((40, 30, 20, 20), 0.5, (30, 20, 40, 40)),  # half of the side on every side
        ((0, 0, 20, 20), 0.5, (0, 0, 40, 40)),  # moved inwards, not made smaller
        ((80, 60, 20, 20), 0.5, (60, 40, 40, 40)),
        ((40, 30, 20, 20), 4.0, (10, 0, 80, 80)),  # no larger than the picture
        ((0, 0, 100, 80), 0.0, (10, 0, 80, 80)),
    ],
)
def test_crops_of_a_picture_of_100_by_80(box, margin, expected):
    assert cut(np.zeros((80, 100, 3), np.uint8), box, margin) == expected


@pytest.mark.parametrize("resize", [shrink, shrink_fast])
@given(SIDES, SIDES, SIDES, SIDES)
def test_shrinking_gives_the_size_asked_for(resize, width, height, to_width, to_height):
    small = resize(np.full((height, width, 3), (10, 128, 250), np.uint8), to_width, to_height)
    assert small.shape == (to_height, to_width, 3)
    assert small.dtype == np.uint8
    assert np.abs(small.astype(int) - (10, 128, 250)).max() <= 1, "one colour stays that colour"


@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((512, 512), (224, 224)),
        ((2000, 1500), (224, 168)),
        ((1999, 1501), (224, 168)),
        ((4032, 3024), (128, 128)),
        ((1023, 1023), (128, 128)),
    ],
)
def test_shrinking_in_steps_is_area_averaging(astronaut, size, to):
    for picture, tolerance in ((scene(), 1), (astronaut, 4)):  # half a pixel's shift at the far edge shows in detail
        large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        assert difference(shrink(large, *to), cv2.resize(large, to, interpolation=cv2.INTER_AREA)) < tolerance


@pytest.mark.parametrize(
    ("size", "to"), [((2000, 1500), (320, 240)), ((4032, 3024), (640, 480)), ((512, 512), (320, 320))]
)
def test_shrinking_fast_shows_the_same_in_the_same_place(size, to):
    large = cv2.resize(scene(), size, interpolation=cv2.INTER_CUBIC)
    assert difference(shrink_fast(large, *to), cv2.resize(large, to, interpolation=cv2.INTER_AREA)) < 0.15


def test_shrinking_to_the_same_size_changes_nothing():
    assert np.array_equal(shrink(scene(), 60, 44), scene())


def test_enlarging_is_bilinear():
    assert np.array_equal(shrink(scene(), 90, 80), cv2.resize(scene(), (90, 80), interpolation=cv2.INTER_LINEAR))


def test_a_cut_out_of_a_picture_shrinks_like_a_copy(astronaut):
    """A crop is a view with the strides of the whole."""
    view = astronaut[10:490, 20:500]
    assert np.array_equal(shrink(view, 50, 50), shrink(view.copy(), 50, 50))
