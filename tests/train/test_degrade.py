from __future__ import annotations

import numpy as np
import pytest

from train.augment import augment
from train.degrade import CONDITIONS, FACE_SIDE, FAIR, PICTURE_SIDE, jpeg, webp

BOX = (179, 63, 90, 112)


@pytest.mark.parametrize("name", [name for name in CONDITIONS if name != "as_found"])
@pytest.mark.parametrize("side", [128, 300, 1024])
def test_every_condition_gives_every_face_the_same_size(astronaut, name, side):
    import cv2

    picture = cv2.resize(astronaut, (side, side))
    box = tuple(round(value * side / 512) for value in BOX)
    changed, moved = CONDITIONS[name](picture, box)
    assert abs(max(moved[2:]) - FACE_SIDE) <= 1
    assert changed.shape[0] / side == pytest.approx(moved[3] / box[3], rel=0.03)
    assert moved[0] + moved[2] <= changed.shape[1]


def test_without_a_face_every_picture_gets_the_same_size(astronaut):
    picture, box = CONDITIONS[FAIR](astronaut[:200], None)
    assert box is None
    assert picture.shape == (100, PICTURE_SIDE, 3)


def test_half_size_and_back_loses_detail(astronaut):
    half, fair = CONDITIONS["half"](astronaut, BOX)[0], CONDITIONS[FAIR](astronaut, BOX)[0]
    assert half.shape == fair.shape
    assert np.abs(np.diff(half.astype(int))).mean() < np.abs(np.diff(fair.astype(int))).mean()


@pytest.mark.parametrize("save", [jpeg, webp])
def test_a_lower_quality_is_further_from_the_picture(astronaut, save):
    errors = [np.abs(save(astronaut, quality).astype(int) - astronaut).mean() for quality in (30, 90)]
    assert errors[0] > errors[1] > 0
    assert errors[0] < 8  # and the channels stay in order


def test_augmentation_keeps_the_form_and_follows_the_seed(astronaut):
    crop = astronaut[63:191, 160:288]
    outcomes = [augment(crop, np.random.default_rng(seed)) for seed in range(40)]
    again = [augment(crop, np.random.default_rng(seed)) for seed in range(40)]
    for first, second in zip(outcomes, again, strict=True):
        assert first.shape == crop.shape
        assert first.dtype == np.uint8
        assert np.array_equal(first, second)
    assert len({outcome.tobytes() for outcome in outcomes}) == 40
