"""A network small enough to fit in a test: three convolutions."""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

COLUMNS = {"logit": (1, None), "sigmoid": (1, "sigmoid"), "softmax": (2, "softmax")}


def build(
    size: tuple[int, int], weights: Mapping[str, str | None], *, output: str = "logit", frozen: bool = False
) -> keras.Model:
    """(n, height, width, 3) float32 -> (n, 1) logit or probability, or (n, 2) softmax."""
    pixels = keras.Input((*size, 3), name="pixels")
    x = layers.Conv2D(8, 3, activation="relu", name="conv_1", trainable=not frozen)(pixels)
    x = layers.Conv2D(16, 3, strides=2, activation="relu", name="conv_2")(x)
    x = layers.GlobalMaxPooling2D(name="peak")(layers.Conv2D(16, 3, activation="relu", name="conv_3")(x))
    columns, activation = COLUMNS[output]
    return keras.Model(pixels, layers.Dense(columns, activation=activation, name=output)(x), name="tiny")
