"""Composites of the example portraits: which pixels change, and for whom they are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from scanner.detector.model import prepare
from scanner.errors import FacescanError
from scanner.faces.finder import FaceFinder
from scanner.imaging.decode import Picture, decode
from train.data.compose import Composer
from train.data.crops import Crops, largest
from train.data.samples import Sample
from train.recipes import RECIPES

EXAMPLES = Path(__file__).parents[2] / "examples" / "pictures"
NAMES = ("real_astronaut.jpg", "generated_1.jpg", "generated_2.jpg", "generated_3.jpg")


@pytest.fixture(scope="module")
def portraits() -> list[Picture]:
    """As the recipe sees them."""
    finder, card = FaceFinder(), RECIPES["composites"].card()
    pictures = [decode((EXAMPLES / name).read_bytes()).picture for name in NAMES]
    return [prepare(picture, largest(finder.find(picture)).box, card)[0] for picture in pictures]


def composites(portraits: list[Picture], count: int, seed: int = 0) -> list[Picture]:
    compose, random = Composer(portraits, np.ones(len(portraits))), np.random.default_rng(seed)
    return [compose(random) for _ in range(count)]


def change(composite: Picture, portraits: list[Picture]) -> np.ndarray:
    """What was done to the portrait that it is most like, (height, width), in grey levels."""
    changes = [np.abs(composite.astype(int) - portrait).max(axis=2) for portrait in portraits]
    return min(changes, key=np.mean)


def test_a_composite_is_a_portrait_with_some_parts_changed(portraits):
    changes = [change(composite, portraits) for composite in composites(portraits, 200)]
    shares = [np.mean(found > 2) for found in changes]
    assert np.mean([share > 0 for share in shares]) > 0.95  # a displacement may be none
    assert max(shares) < 0.4
    assert all(found[:8].max() == 0 for found in changes)  # hair and background


def test_eyes_nose_and_mouth_all_have_their_turn(portraits):
    finder = cv2.FaceDetectorYN.create(str(EXAMPLES.parents[1] / "scanner" / "models" / "yunet.onnx"), "", (192, 192))
    compose, random = Composer(portraits[:1] * 2, np.ones(2)), np.random.default_rng(0)
    _, faces = finder.detect(np.ascontiguousarray(portraits[0][:, :, ::-1]))
    changed = np.array(
        [
            [np.abs(compose(random).astype(int) - portraits[0])[round(y) - 3 : round(y) + 4, round(x)].max() > 2]
            for x, y in faces[0][4:14].reshape(5, 2)
            for _ in range(60)
        ]
    ).reshape(5, 60)
    assert ((changed.mean(axis=1) > 0.2) & (changed.mean(axis=1) < 0.95)).all(), changed.mean(axis=1)


def test_composites_vary_and_the_same_draw_gives_the_same(portraits):
    one, two = composites(portraits, 30), composites(portraits, 30)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert len({pixels.tobytes() for pixels in one}) == 30
    assert {(pixels.shape, pixels.dtype) for pixels in one} == {((192, 192, 3), np.dtype(np.uint8))}


def test_pictures_without_a_face_are_left_out(portraits):
    grey = np.full_like(portraits[0], 128)
    assert (
        len({found.mean() for found in (change(c, portraits[:2]) for c in composites([*portraits[:2], grey], 20))}) > 1
    )
    with pytest.raises(FacescanError, match="at least two photographs of faces"):
        Composer([portraits[0], grey], np.ones(2))
    with pytest.raises(FacescanError, match="at least two photographs of faces"):
        Composer([], np.ones(0))


def test_only_fakes_are_replaced_and_only_in_training(portraits):
    pytest.importorskip("tensorflow")
    from train.fitting.batches import Batches, to_tensors

    recipe = RECIPES["composites"]
    training = replace(recipe.training, augmentation="", balanced=False, composed=1.0, batch=len(portraits))
    recipe = replace(recipe, training=training)
    fakes = (False, True, False, True)
    samples = tuple(
        Sample(name, EXAMPLES / name, fake, "examples", "", "") for name, fake in zip(NAMES, fakes, strict=True)
    )
    seen = Crops(samples, (tuple((pixels,) for pixels in portraits),), (), ())
    (untouched,) = to_tensors(seen.regions[0], recipe.inputs)
    fed, targets = Batches(seen, recipe, seed=0, drawn=False)[0]
    assert targets.ravel().tolist() == list(fakes)
    for number, fake in enumerate(fakes):
        nearest = np.abs(untouched - fed[number]).mean(axis=(1, 2, 3)).argmin()
        assert np.array_equal(fed[number], untouched[number]) is not fake
        assert nearest in ((0, 2) if fake else (number,))  # composites are made of the real ones
    checked, _ = Batches(seen, recipe, seed=0, augmented=False, drawn=False)[0]
    assert np.array_equal(checked, untouched)
    half = replace(recipe, training=replace(training, composed=0.5))
    batches = Batches(seen, half, seed=0, drawn=False)
    kept = []
    for _ in range(40):
        fed, _ = batches[0]
        kept.append(np.array_equal(fed[1], untouched[1]))
        batches.on_epoch_end()
    assert 8 <= sum(kept) <= 32
