"""The training loop, with networks of every kind of output, on pictures that can be learned."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras

from scanner.detector.card import InputSpec
from scanner.detector.model import normalise, prepare
from scanner.errors import FacescanError
from scanner.imaging.decode import decode
from train.data.crops import Crops, crops
from train.data.degrade import FAIR, conditions
from train.data.index import read_samples
from train.data.samples import LABELS
from train.fitting.batches import Batches, targets, to_tensors
from train.fitting.fit import fit, logits
from train.fitting.optimizers import StudyAdam
from train.recipes import RECIPES
from train.recipes.schema import FAKE_FIRST, REAL_FIRST, Training


@pytest.fixture(scope="module")
def seen(index, recipe) -> Crops:
    return crops(read_samples(index), recipe.card())


def quiet(line: str) -> None:
    pass


def shuffled(seen: Crops) -> Crops:
    """The same pictures with labels that mean nothing."""
    order = np.random.default_rng(0).permutation(len(seen.samples))
    return replace(seen, samples=tuple(seen.samples[i] for i in order))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_on_what_the_scanner_feeds_bit_for_bit(name, index):
    recipe = RECIPES[name]
    card = recipe.card()
    ways = [conditions(card)[FAIR]] if recipe.normalise_format else []
    samples = read_samples(index)[:6]
    if recipe.region == "face":
        card = replace(card, source="image")  # the pictures of this test show none
    seen = crops(samples, card, ways)
    batches = Batches(seen, recipe, seed=0, augmented=False, drawn=False)
    tensors, _ = batches[0]
    tensors = tensors if isinstance(tensors, tuple) else (tensors,)
    assert len(tensors) == len(card.inputs)
    for position, sample in enumerate(samples):
        picture = decode(sample.file.read_bytes()).picture
        region = prepare(*ways[0](picture, None), card) if ways else prepare(picture, None, card)
        for tensor, pixels, spec in zip(tensors, region, card.inputs, strict=True):
            assert tensor[position].tobytes() == normalise(pixels[None], spec).tobytes()


@pytest.mark.parametrize(
    ("output", "labels", "expected"),
    [
        ("softmax", REAL_FIRST, [0, 1]),
        ("softmax", FAKE_FIRST, [1, 0]),
        ("sigmoid", REAL_FIRST, [[0.0], [1.0]]),
        ("sigmoid", FAKE_FIRST, [[1.0], [0.0]]),
        ("logit", REAL_FIRST, [[0.0], [1.0]]),
    ],
)
def test_the_target_is_what_the_output_means(output, labels, expected, recipe):
    found = targets(np.array([False, True]), replace(recipe, output=output, labels=labels))
    assert found.tolist() == expected


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "logit"])
@pytest.mark.parametrize("labels", [REAL_FIRST, FAKE_FIRST])
def test_grids_are_learned_by_every_kind_of_output(output, labels, recipe, seen):
    """Whatever the columns mean, the log-odds are those of fake."""
    training = Training("adam", 3e-3, epochs=8, batch=16)
    recipe = replace(recipe, output=output, labels=labels, options={"output": output}, training=training)
    fitted = fit(recipe, seen, seen, 0, {}, quiet)
    scores = logits(fitted.model, seen.regions[0], recipe)
    assert scores[seen.fake].mean() > scores[~seen.fake].mean()
    assert np.mean((scores >= 0) == seen.fake) == pytest.approx(fitted.history[-1]["val_accuracy"], abs=1e-6)
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]


def test_the_history_has_every_epoch_and_is_told(recipe, seen):
    told: list[str] = []
    fitted = fit(recipe, seen, seen, 0, {}, told.append)
    assert [line.split(":")[0] for line in told] == ["epoch 1/2", "epoch 2/2"]
    for point in fitted.history:
        assert set(point) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}


def test_the_same_seed_gives_the_same_weights(recipe, seen):
    one, two, other = (fit(recipe, seen, seen, seed, {}, quiet).model.get_weights() for seed in (1, 1, 2))
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(one, two, strict=True))
    assert not all(np.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


def test_batches_depend_on_seed_and_epoch_only(recipe, seen):
    recipe = replace(recipe, training=replace(recipe.training, augmentation="saved_anyhow"))
    one, two, other = (Batches(seen, recipe, seed) for seed in (5, 5, 6))
    assert np.array_equal(one[2][0], two[2][0])
    assert not np.array_equal(one[2][0], other[2][0])
    first_epoch = one[2][0]
    for batches in (one, two):
        batches.on_epoch_end()
    assert np.array_equal(one[2][0], two[2][0])
    assert not np.array_equal(one[2][0], first_epoch)


def test_every_picture_is_seen_once_an_epoch_unless_drawn_by_weight(recipe, seen):
    recipe = replace(recipe, training=Training("adam", 1e-3, epochs=1, batch=48))
    batches = Batches(seen, recipe, seed=0)
    tensors = np.concatenate([batches[i][0] for i in range(len(batches))])
    (all_of_them,) = to_tensors(seen.regions[0], recipe.inputs)
    assert sorted(t.tobytes() for t in tensors) == sorted(t.tobytes() for t in all_of_them)
    assert [len(batches[i][0]) for i in range(len(batches))] == [48, 48, 32]


def test_the_best_weights_are_kept_and_training_halts(recipe, seen):
    """Labels without meaning cannot be learned: the validation loss soon grows."""
    training = Training("adam", 0.01, epochs=30, batch=16, keep_best=True, patience=2)
    recipe = replace(recipe, training=training)
    fitted = fit(recipe, shuffled(seen), seen, 0, {}, quiet)
    losses = [point["val_loss"] for point in fitted.history]
    assert len(losses) == losses.index(min(losses)) + 1 + training.patience < 30
    scores = logits(fitted.model, seen.regions[0], recipe)
    kept = np.logaddexp(0, np.where(seen.fake, -scores, scores)).mean()
    assert kept == pytest.approx(min(losses), abs=1e-4)


@pytest.mark.parametrize("decay", [0.0, 1e-4])
def test_slow_layers_move_in_smaller_steps_with_decay_too(decay):
    """Adam's first step is the rate itself, whatever the gradient."""
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="conv5_out"), keras.layers.Dense(1, name="head")]
    )
    before = [w.numpy().copy() for w in model.trainable_weights]
    model.compile(StudyAdam(0.01, decay, {"conv5": 0.1}), "mse")
    random = np.random.default_rng(0)
    model.fit(random.normal(size=(8, 4)), random.normal(size=(8, 1)), epochs=1, verbose=0)
    steps = [np.abs(w.numpy() - old).max() for w, old in zip(model.trainable_weights, before, strict=True)]
    assert steps == pytest.approx([0.001, 0.001, 0.01, 0.01], rel=0.01)


def test_decoupled_decay_goes_by_the_rate_of_each_layer():
    """A layer without a rate stays as it is; Keras' own decay would shrink it with the others."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, name="frozen", bias_initializer="ones"),
            keras.layers.Dense(1, name="head", bias_initializer="ones"),
        ]
    )
    before = [w.numpy().copy() for w in model.trainable_weights]
    model.compile(StudyAdam(0.01, slow_layers={"frozen": 0.0}, decoupled=0.5), "mse")
    random = np.random.default_rng(0)
    model.fit(random.normal(size=(8, 4)), 100 + random.normal(size=(8, 1)), epochs=1, verbose=0)
    after = [w.numpy() for w in model.trainable_weights]
    assert np.array_equal(after[0], before[0])
    assert np.array_equal(after[1], before[1])
    # One step of the rate upwards, after a loss of half a per cent.
    assert after[3] == pytest.approx(1 - 0.01 * 0.5 + 0.01, rel=1e-4)


def test_coupled_decay_is_in_the_gradient():
    ours, plain = keras.Variable([1.0, -2.0, 0.5]), keras.Variable([1.0, -2.0, 0.5])
    coupled, adam = StudyAdam(0.01, decay=0.3), keras.optimizers.Adam(0.01)
    for step in range(20):
        gradient = keras.ops.sin(keras.ops.arange(3.0) + step)
        coupled.apply([gradient], [ours])
        adam.apply([gradient + 0.3 * plain.value], [plain])
    assert ours.numpy() == pytest.approx(plain.numpy(), abs=1e-5)
    assert np.abs(ours.numpy() - [1.0, -2.0, 0.5]).min() > 0.01


def test_a_frozen_trunk_gives_the_same_training_as_the_whole(recipe, seen, monkeypatch):
    """Kept outputs or computed anew: the head learns the same, but for the order of the pictures."""
    recipe = replace(recipe, options={"frozen": True}, training=Training("adam", 3e-3, epochs=6, batch=128))
    kept = fit(recipe, seen, seen, 0, {}, quiet)
    monkeypatch.setattr("train.fitting.fit.MAX_CACHED_FEATURE_BYTES", 0)
    anew = fit(recipe, seen, seen, 0, {}, quiet)
    assert [p["loss"] for p in kept.history] == pytest.approx([p["loss"] for p in anew.history], rel=1e-3)
    assert np.array_equal(
        kept.model.get_layer("conv_1").get_weights()[0], anew.model.get_layer("conv_1").get_weights()[0]
    )


def test_one_class_cannot_be_fitted(recipe, seen):
    fakes = [i for i, s in enumerate(seen.samples) if LABELS[s.fake] == "fake"]
    only = Crops(tuple(seen.samples[i] for i in fakes), (tuple(seen.regions[0][i] for i in fakes),), (), ())
    with pytest.raises(FacescanError, match="one class"):
        fit(recipe, only, only, 0, {}, quiet)


def test_the_tensor_has_the_cards_range(recipe, seen):
    (tensor,) = to_tensors(seen.regions[0], recipe.inputs)
    assert tensor.dtype == np.float32
    assert -1 <= tensor.min() < 0 < tensor.max() <= 1


def test_two_inputs_come_in_order(index):
    specs = (InputSpec("pixels", (32, 32)), InputSpec("ela", (32, 32), content="ela"))
    card = replace(RECIPES["gautam-fusion-2"].card(), inputs=specs)
    regions = crops(read_samples(index)[:4], card).regions[0]
    pixels, ela = to_tensors(regions, specs)
    assert pixels.shape == ela.shape == (4, 32, 32, 3)
    assert not np.array_equal(pixels, ela)


@pytest.mark.weekly
def test_another_backend_trains_the_same_recipe(index):
    pytest.importorskip("jax", reason="needs JAX, another backend of Keras")
    script = f"""
from dataclasses import replace
from pathlib import Path
from train.data.crops import crops
from train.data.index import read_samples
from train.fitting.fit import fit
from train.recipes import RECIPES
import keras
recipe = RECIPES["gautam-fusion-2"]
seen = crops(read_samples(Path({str(index)!r}))[:32], recipe.card())
training = replace(recipe.training, epochs=1, batch=16)
history = fit(replace(recipe, training=training), seen, seen, 0, {{}}).history
print(keras.backend.backend(), len(history), history[0]["loss"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    name, epochs, loss = done.stdout.splitlines()[-1].split()
    assert (name, epochs) == ("jax", "1")
    assert 0.3 < float(loss) < 3
