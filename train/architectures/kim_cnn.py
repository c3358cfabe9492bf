"""Builds HaeLee Kim's two convolutions.

The study counts 46,099,778 parameters at 300 px: 128 units over 75 x 75 x 64 values, which only padded convolutions
leave.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

CHANNELS = (32, 64)
DROPOUT = 0.25
HIDDEN = 128
HIDDEN_DROPOUT = 0.5


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
        x = layers.Dropout(DROPOUT, name=f"pool_{number}_dropout")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(x)
    x = layers.Dropout(HIDDEN_DROPOUT, name="hidden_dropout")(x)
    return keras.Model(pixels, layers.Dense(2, activation="softmax", name="probabilities")(x), name="kim_cnn")
