"""A network small enough to fit in a test: three convolutions."""

from __future__ import annotations

from pathlib import Path

import keras
from keras import layers


def build(size: tuple[int, int], weights: Path | None) -> keras.Model:
    """(n, height, width, 3) float32 -> (n, 1) logit."""
    pixels = keras.Input((*size, 3), name="pixels")
    x = layers.Conv2D(8, 3, activation="relu", name="conv_1")(pixels)
    x = layers.Conv2D(16, 3, strides=2, activation="relu", name="conv_2")(x)
    x = layers.GlobalMaxPooling2D(name="peak")(layers.Conv2D(16, 3, activation="relu", name="conv_3")(x))
    return keras.Model(pixels, layers.Dense(1, name="logit")(x), name="tiny")
