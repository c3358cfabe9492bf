"""Builds Arjon et al.'s three convolutions, by their table of layers.

At 224 px the maps measure 224, 112 and 56 before pooling, and 28 x 28 x 64 = 50,176 values are flattened.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

CHANNELS = (32, 32, 64)
DROPOUT = 0.4
HIDDEN = 128


def build(size: tuple[int, int], weights: Mapping[str, str | None]) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in, (n, 2) softmax out.

    Args:
        size: height and width of the input in pixels.
        weights: not used, because there is no backbone.
    """
    x = pixels = keras.Input((*size, 3), name="pixels")
    for number, channels in enumerate(CHANNELS, 1):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"conv_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = layers.Dropout(DROPOUT, name="pool_3_dropout")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(x)
    return keras.Model(pixels, layers.Dense(2, activation="softmax", name="probabilities")(x), name="arjon_cnn")
