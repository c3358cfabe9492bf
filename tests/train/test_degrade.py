from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest

from scanner.detector.card import InputSpec
from tests.conftest import TOY_CARD
from train.data.degrade import (
    AS_FOUND,
    CONDITIONS,
    FACE_SIDE,
    FAIR,
    PICTURE_SIDE,
    conditions,
    jpeg,
    same_size,
    webp,
)

BOX = (179, 63, 90, 112)
OF_FACES = conditions(replace(TOY_CARD, source="face"))


def test_the_conditions_come_in_the_order_of_their_names():
    assert tuple(conditions(TOY_CARD)) == tuple(OF_FACES) == CONDITIONS
    assert {AS_FOUND, FAIR} < set(CONDITIONS)


def test_as_found_changes_nothing(astronaut):
    picture, box = OF_FACES[AS_FOUND](astronaut, BOX)
    assert picture is astronaut
    assert box == BOX


@pytest.mark.parametrize("name", [name for name in CONDITIONS if name != AS_FOUND])
@pytest.mark.parametrize("side", [128, 300, 1024])
def test_every_condition_gives_every_face_the_same_size(astronaut, name, side):
    picture = cv2.resize(astronaut, (side, side))
    box = tuple(round(value * side / 512) for value in BOX)
    changed, moved = OF_FACES[name](picture, box)
    assert abs(max(moved[2:]) - FACE_SIDE) <= 1
    assert changed.shape[0] / side == pytest.approx(moved[3] / box[3], rel=0.03)
    assert moved[0] + moved[2] <= changed.shape[1]


@pytest.mark.parametrize(
    ("sizes", "side"),
    [([(32, 32)], PICTURE_SIDE), ([(300, 300)], 300), ([(128, 128), (224, 384)], 384)],
)
def test_without_a_face_every_picture_gets_the_same_size_and_no_less_than_the_model_takes(astronaut, sizes, side):
    card = replace(TOY_CARD, inputs=tuple(InputSpec(f"input_{i}", size) for i, size in enumerate(sizes)))
    for name, condition in conditions(card).items():
        for picture in (astronaut[:256], cv2.resize(astronaut, (100, 50))):
            changed, box = condition(picture, None)
            assert box is None
            assert changed.shape == (picture.shape if name == AS_FOUND else (side // 2, side, 3))


@pytest.mark.parametrize(
    ("name", "saved"), [("jpeg50", partial(jpeg, quality=50)), ("webp60", partial(webp, quality=60))]
)
def test_formats_are_those_of_the_name(astronaut, name, saved):
    assert np.array_equal(OF_FACES[name](astronaut, BOX)[0], saved(same_size(astronaut, BOX)[0]))


@pytest.mark.parametrize("name", ["half", "blur"])
def test_half_size_and_blur_lose_detail(astronaut, name):
    lost, fair = OF_FACES[name](astronaut, BOX)[0], OF_FACES[FAIR](astronaut, BOX)[0]
    assert lost.shape == fair.shape
    steps = [np.abs(np.diff(picture.astype(int), axis=1)).mean() for picture in (lost, fair)]
    assert steps[0] < 0.8 * steps[1]


@pytest.mark.parametrize("save", [jpeg, webp])
def test_a_lower_quality_is_further_from_the_picture(astronaut, save):
    errors = [np.abs(save(astronaut, quality).astype(int) - astronaut).mean() for quality in (30, 90)]
    assert errors[0] > errors[1] > 0
    assert errors[0] < 8  # and the channels stay in order
