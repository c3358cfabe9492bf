from __future__ import annotations

import numpy as np
import pytest

from train.data.augment import AUGMENTATIONS, COPIES
from train.recipes import RECIPES

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)


def changed(name: str, times: int = 40, inputs: int = 1) -> list[tuple[np.ndarray, ...]]:
    random = np.random.default_rng(1)
    return [AUGMENTATIONS[name]((PICTURE.copy(),) * inputs, random) for _ in range(times)]


def test_every_recipe_names_an_augmentation_that_is_there():
    named = {recipe.training.augmentation for recipe in RECIPES.values()} - {""}
    assert named == set(AUGMENTATIONS)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_shape_and_type_stay_and_pictures_vary(name):
    outcomes = [pixels for (pixels,) in changed(name)]
    assert {(pixels.shape, pixels.dtype) for pixels in outcomes} == {(PICTURE.shape, PICTURE.dtype)}
    assert len({pixels.tobytes() for pixels in outcomes}) > 30


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_draw_gives_the_same_picture(name):
    assert all(np.array_equal(one, two) for (one,), (two,) in zip(changed(name), changed(name), strict=True))


@pytest.mark.parametrize("name", ["arjon", "ceng"])
def test_all_inputs_of_a_picture_are_changed_alike(name):
    assert all(np.array_equal(picture, ela) for picture, ela in changed(name, inputs=2))


def test_every_recipe_names_copies_that_are_there():
    assert {recipe.training.copies for recipe in RECIPES.values()} - {""} == set(COPIES)


def test_gautams_six_copies_are_those_of_tf_image():
    tensorflow = pytest.importorskip("tensorflow")
    mirrored, upside_down, turned, bright, contrasted, saturated = (
        [change((PICTURE,) * 2, np.random.default_rng(draw)) for draw in range(8)] for change in COPIES["gautam"]
    )
    for copies, whole in (
        (mirrored, tensorflow.image.flip_left_right),
        (upside_down, tensorflow.image.flip_up_down),
        (turned, tensorflow.image.rot90),
    ):
        assert all(np.array_equal(pixels, whole(PICTURE).numpy()) for copy in copies for pixels in copy)
    for draw in range(8):
        added = np.random.default_rng(draw).uniform(-0.2, 0.2)
        factor = np.random.default_rng(draw).uniform(0.8, 1.2)
        for copies, expected in (
            (bright, tensorflow.image.adjust_brightness(PICTURE, added)),
            (contrasted, tensorflow.image.adjust_contrast(PICTURE, factor)),
            (saturated, tensorflow.image.adjust_saturation(PICTURE, factor)),
        ):
            picture, ela = copies[draw]
            assert np.array_equal(picture, ela)
            assert np.abs(picture.astype(int) - expected.numpy()).max() <= 1


def test_ceng_turns_with_black_corners_and_jitters_as_torchvision_does():
    """A picture of one colour: its brightness is multiplied, its contrast and saturation about grey change with it."""
    grey = np.full((64, 64, 3), 100, np.uint8)
    random = np.random.default_rng(0)
    outcomes = [AUGMENTATIONS["ceng"]((grey,), random)[0] for _ in range(60)]
    assert all(pixels[32, 32].std() == 0 for pixels in outcomes)
    middles = np.array([int(pixels[32, 32, 0]) for pixels in outcomes])
    assert middles.min() == pytest.approx(80, abs=6)
    assert middles.max() == pytest.approx(120, abs=6)
    assert sum(pixels[0, 0].max() < 30 for pixels in outcomes) > 30  # black, but for the contrast


def test_arjon_turns_up_to_thirty_degrees_and_moves_a_tenth():
    """A dot in the middle stays within reach of the shifts; one at the side moves along with the turn."""
    dots = np.zeros((200, 200, 3), np.uint8)
    dots[96:105, 96:105] = 255
    dots[96:105, 156:165] = 255  # 60 px to the right
    random = np.random.default_rng(2)
    middles, angles = [], []
    for _ in range(300):
        (pixels,) = AUGMENTATIONS["arjon"]((dots,), random)
        rows, columns = np.nonzero(pixels[..., 0] > 128)
        middle = np.array([rows.mean(), columns.mean()])
        middles.append(middle - [100, 100])
        centred = np.stack([rows, columns]) - middle[:, None]
        angles.append(abs(np.degrees(np.arctan2(*np.linalg.eigh(centred @ centred.T)[1][:, 1])) % 180))
    angles = np.minimum(angles, 180 - np.array(angles))
    assert angles.max() == pytest.approx(30, abs=1)
    assert np.abs(middles).max() < 0.1 * 200 + 30 * 1.2 + 5  # half the dots' distance, enlarged
