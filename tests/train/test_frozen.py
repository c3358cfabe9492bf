from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
from keras import layers

from train.fitting.frozen import split_frozen


def network(frozen: int, dropout: bool = False) -> keras.Model:
    """Three convolutions, the first of them frozen, with a shortcut round the second."""
    pixels = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv_1")(pixels)
    x = layers.Dropout(0.5)(x) if dropout else x
    y = layers.Add(name="sum")([x, layers.Conv2D(4, 3, padding="same", name="conv_2")(x)])
    y = layers.Conv2D(2, 3, name="conv_3")(y)
    model = keras.Model(pixels, layers.Dense(1, name="out")(layers.Flatten()(y)))
    for number in range(1, frozen + 1):
        model.get_layer(f"conv_{number}").trainable = False
    return model


@pytest.mark.parametrize(("frozen", "cut"), [(1, "conv_1"), (2, "sum"), (3, "flatten")])
def test_a_trunk_and_a_head_are_the_network(frozen, cut):
    keras.utils.clear_session()
    model = network(frozen)
    trunk, head = split_frozen(model)
    assert trunk.output is model.get_layer(cut).output
    pixels = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    assert head.predict(trunk.predict(pixels, verbose=0), verbose=0) == pytest.approx(
        model.predict(pixels, verbose=0), abs=1e-5
    )
    assert not trunk.trainable_weights
    assert [id(w) for w in head.trainable_weights] == [id(w) for w in model.trainable_weights]


def test_without_frozen_layers_there_is_no_trunk():
    assert split_frozen(network(0)) is None


def test_what_dropout_gives_is_not_kept():
    trunk, _ = split_frozen(network(2, dropout=True))
    assert [layer.name for layer in trunk.layers][-1] == "conv_1"


def test_a_frozen_layer_round_which_pictures_pass_is_no_trunk():
    pixels = keras.Input((8,))
    frozen = layers.Dense(8, trainable=False)(pixels)
    joined = layers.Concatenate()([frozen, layers.Dense(8)(pixels)])
    assert split_frozen(keras.Model(pixels, layers.Dense(1)(joined))) is None
