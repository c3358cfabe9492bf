"""Several networks as one: fitted one after the other, exported as one file that gives the mean of their logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
from keras import layers

from scanner.detector.model import Detector
from train.data.crops import Crops, crops
from train.data.index import read_samples
from train.fitting.ensemble import ensemble
from train.fitting.fit import fit, logits
from train.onnx_export.export import TOLERANCE, export
from train.recipes.schema import Training

SIDE = 32


def network(seed: int) -> keras.Model:
    """As the default's: it ends in a mean and a peak of one feature map, and a dense layer."""
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((SIDE, SIDE, 3), name="pixels")
    features = layers.Conv2D(8, 3, strides=4, activation="relu", name="features")(pixels)
    pooled = [layers.GlobalAveragePooling2D()(features), layers.GlobalMaxPooling2D()(features)]
    head = layers.Dense(1, name="logit", bias_initializer="random_normal")
    return keras.Model(pixels, head(layers.Dropout(0.3)(layers.concatenate(pooled))), name="network")


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (9, SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("count", [2, 3])
def test_its_logit_is_the_mean_of_theirs_also_saved_and_loaded(count, pixels, tmp_path):
    members = [network(seed) for seed in range(count)]
    each = np.stack([member.predict(pixels, verbose=0) for member in members])
    assert np.ptp(each, axis=0).min() > 0.01
    whole = ensemble(members)
    assert whole.predict(pixels, verbose=0) == pytest.approx(each.mean(axis=0), abs=1e-5)
    assert whole.count_params() == sum(member.count_params() for member in members) - (count - 1)  # one bias
    whole.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras", compile=False)
    assert loaded.predict(pixels, verbose=0) == pytest.approx(each.mean(axis=0), abs=1e-5)


def test_inputs_keep_their_order(tmp_path):
    def two(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        inputs = [keras.Input((4,), name="z"), keras.Input((6,), name="a")]
        return keras.Model(inputs, layers.Dense(1)(layers.concatenate([layers.Dense(3)(one) for one in inputs])))

    members = [two(seed) for seed in range(2)]
    random = np.random.default_rng(0)
    fed = [random.normal(size=(5, 4)), random.normal(size=(5, 6))]
    expected = np.mean([member.predict(fed, verbose=0) for member in members], axis=0)
    assert ensemble(members).predict(fed, verbose=0) == pytest.approx(expected, abs=1e-5)


def test_probabilities_are_no_logits():
    members = [network(seed) for seed in range(2)]
    members[1].layers[-1].activation = keras.activations.sigmoid
    with pytest.raises(ValueError, match="only logits"):
        ensemble(members)


@pytest.fixture(scope="module")
def two_members(recipe):
    training = Training("adam", 3e-3, epochs=2, batch=16, members=2)
    return replace(recipe, output="logit", options={"output": "logit"}, training=training)


@pytest.fixture(scope="module")
def seen(index, recipe) -> Crops:
    return crops(read_samples(index), recipe.card())


def test_members_are_fitted_one_after_the_other_with_seeds_of_their_own(two_members, seen):
    alone = replace(two_members, training=replace(two_members.training, members=1))
    told: list[str] = []
    fitted = fit(two_members, seen, seen, 3, {}, told.append)
    each = [fit(alone, seen, seen, seed, {}, lambda line: None) for seed in (3, 4)]
    scores = [logits(one.model, seen.regions[0], alone) for one in each]
    assert np.abs(scores[0] - scores[1]).max() > 0.1
    assert logits(fitted.model, seen.regions[0], two_members) == pytest.approx(np.mean(scores, axis=0), abs=1e-3)
    assert [line.split(":")[0] for line in told] == [
        "network 1 of 2", "epoch 1/2", "epoch 2/2", "network 2 of 2", "epoch 1/2", "epoch 2/2",
    ]  # fmt: skip
    losses = [[point["loss"] for point in one.history] for one in (fitted, *each)]
    assert losses[0] == pytest.approx(losses[1] + losses[2], rel=1e-3)


def test_the_file_agrees_and_says_where_both_looked(two_members, seen, tmp_path):
    model = ensemble([network(seed) for seed in range(2)])
    file, regions = tmp_path / "two.onnx", seen.regions[0][:9]
    assert export(model, two_members, two_members.card(), file, regions) <= TOLERANCE
    detector = Detector(file)
    places = detector.contributions(regions)
    assert places.shape == (9, 8, 8)
    assert places.sum(axis=(1, 2)) == pytest.approx(detector.logits(regions), abs=1e-4)
