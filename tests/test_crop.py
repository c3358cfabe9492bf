"""The geometry between a picture and what a model sees of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.imaging.crop import Cut, available_margin, judged_turn, shrink, square_round_face
from scanner.imaging.pyramid import Pyramid
from tests.pictures import difference, scene

SIDES = st.integers(1, 300)


@st.composite
def picture_and_box(draw):
    """A picture's size, and a box that lies inside of it."""
    width, height = draw(SIDES), draw(SIDES)
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return width, height, (x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))


def cut(size, box, margin, edge="clamp"):
    """Left, top and side of the square."""
    square = square_round_face(size, box, margin, edge)
    return square.left, square.top, square.side


def shrink_fast(picture, width, height):
    return Pyramid(picture).shrunk(width, height)


@given(picture_and_box(), st.floats(0, 4))
def test_a_crop_lies_inside_the_picture_unless_the_face_does_not_fit(sizes, margin):
    width, height, box = sizes
    left, top, side = cut((width, height), box, margin)
    assert side >= 1
    if max(box[2:]) <= min(width, height):
        assert left >= 0
        assert top >= 0
        assert left + side <= width
        assert top + side <= height


@given(picture_and_box(), st.floats(0, 4), st.sampled_from(["clamp", "reflect", "grey"]))
def test_a_crop_holds_the_whole_face(sizes, margin, edge):
    width, height, (x, y, w, h) = sizes
    left, top, side = cut((width, height), (x, y, w, h), margin, edge)
    assert left <= x
    assert top <= y
    assert left + side >= x + w
    assert top + side >= y + h


@given(picture_and_box(), st.floats(0, 4), st.integers(-179, 180), st.sampled_from(["clamp", "reflect", "grey"]))
def test_every_cut_has_the_size_asked_for(sizes, margin, turn, edge):
    width, height, box = sizes
    picture = np.full((height, width, 3), (10, 128, 250), np.uint8)
    square = square_round_face((width, height), box, margin, edge, turn).of(picture, 24, 18)
    assert square.shape == (18, 24, 3)
    if edge == "reflect":
        assert np.abs(square.astype(int) - (10, 128, 250)).max() <= 1, "one colour stays that colour"


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((40, 30, 20, 20), 0.0, (40, 30, 20)),
        ((40, 30, 20, 10), 0.0, (40, 25, 20)),  # a wide box: higher, about the same centre
        ((40, 30, 10, 20), 0.0, (35, 30, 20)),
        ((40, 30, 20, 20), 0.5, (30, 20, 40)),  # half of the side on every side
        ((0, 0, 20, 20), 0.5, (0, 0, 40)),  # moved inwards, not made smaller
        ((80, 60, 20, 20), 0.5, (60, 40, 40)),
        ((40, 30, 20, 20), 4.0, (10, 0, 80)),  # no larger than the picture
        ((0, 0, 100, 80), 0.0, (0, -10, 100)),  # unless the face is: then the rest is filled
    ],
)
def test_crops_of_a_picture_of_100_by_80(box, margin, expected):
    assert cut((100, 80), box, margin) == expected


@pytest.mark.parametrize("edge", ["reflect", "grey"])
@pytest.mark.parametrize("box", [(40, 30, 20, 20), (0, 0, 20, 20), (80, 60, 20, 20), (0, 0, 100, 80)])
def test_filled_crops_keep_their_scale_and_centre(box, edge):
    left, top, side = cut((100, 80), box, 0.5, edge)
    assert side == 2 * max(box[2:])
    assert (left + side / 2, top + side / 2) == (box[0] + box[2] / 2, box[1] + box[3] / 2)


def test_what_lies_outside_is_filled(astronaut):
    x, y, w, h = 0, 0, 128, 128
    inside = astronaut[:128, :128]
    mirrored = square_round_face((512, 512), (x, y, w, h), 0.5, "reflect").of(astronaut, 256, 256)
    around = cv2.copyMakeBorder(inside, 64, 0, 64, 0, cv2.BORDER_REFLECT_101)
    assert difference(mirrored[:192, :192], around) < 1
    grey = square_round_face((512, 512), (x, y, w, h), 0.5, "grey").of(astronaut, 256, 256)
    assert np.array_equal(grey[64:, 64:], mirrored[64:, 64:])
    assert (grey[:64] == 127).all()
    assert (grey[:, :64] == 127).all()


@pytest.mark.parametrize("edge", ["clamp", "reflect", "grey"])
@pytest.mark.parametrize("box", [(180, 62, 89, 112), (0, 0, 90, 112), (400, 430, 112, 82), (10, 10, 490, 500)])
@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_turned_face_is_cut_out_as_if_it_were_upright(astronaut, box, edge, turn):
    """The picture and the box turned clockwise, the cut turned back."""
    x, y, w, h = box
    turned = np.rot90(astronaut, -turn // 90)
    place = {90: (512 - y - h, x, h, w), 180: (512 - x - w, 512 - y - h, w, h), -90: (y, 512 - x - w, h, w)}[turn]
    upright = square_round_face((512, 512), box, 0.25, edge).of(astronaut, 160, 160)
    assert difference(square_round_face((512, 512), place, 0.25, edge, turn).of(turned, 160, 160), upright) < 1


@pytest.mark.parametrize("turn", [-150, -40, -20, 20, 30, 100])
def test_a_tilted_face_is_cut_out_level(astronaut, turn):
    matrix = cv2.getRotationMatrix2D((224, 118), -turn, 1)
    tilted = cv2.warpAffine(astronaut, matrix, (512, 512), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    box = (179, 63, 90, 110)
    upright = square_round_face((512, 512), box, 0.25, "reflect").of(astronaut, 80, 80)
    level = square_round_face((512, 512), box, 0.25, "reflect", turn).of(tilted, 80, 80)
    middle = slice(8, 72)  # the corners may lie outside of the picture
    assert difference(level[middle, middle], upright[middle, middle]) < 6
    assert difference(upright[::-1], upright) > 20, "another direction would not pass"


def test_a_cut_of_a_part_is_the_cut_of_the_whole(astronaut):
    for square in (Cut(100, 20, 200), Cut(-40, -30, 300), Cut(100, 20, 200, 30), Cut(400, 300, 200, -100)):
        rows, columns = square.needed(astronaut)
        part = square.moved(columns.start, rows.start).of(astronaut[rows, columns], 64, 64)
        assert np.array_equal(part, square.of(astronaut, 64, 64))


@pytest.mark.parametrize(
    ("turn", "judged"),
    [(0, 0), (15, 0), (-15, 0), (16, 16), (45, 45), (75, 90), (74, 74), (90, 90), (180, 180), (-170, 180), (-91, -90)],
)
def test_small_tilts_are_left_and_quarter_turns_are_exact(turn, judged):
    assert judged_turn(turn, 15) == judged


@pytest.mark.parametrize(
    ("size", "box", "room"),
    [((300, 200), (0, 0, 100, 80), 0.5), ((200, 100), (0, 0, 90, 100), 0.0), ((80, 100), (0, 0, 80, 100), -0.1)],
)
def test_the_room_round_a_face(size, box, room):
    assert available_margin(size, box) == pytest.approx(room)


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
