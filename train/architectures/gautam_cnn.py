"""Builds Gautam and Chandra's five convolutions, for the picture or its Error Level Analysis.

The study gives their number and not their widths; those here are what the small networks of the time had. At 128 px
4 x 4 x 128 = 2,048 values are flattened.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

CHANNELS = (32, 32, 64, 64, 128)
DROPOUT = 0.25
HIDDEN = 128
HIDDEN_DROPOUT = 0.5


def build(size: tuple[int, int], weights: Mapping[str, str | None]) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in, (n, 1) sigmoid out.

    Args:
        size: height and width of the input in pixels.
        weights: not used, because there is no backbone.
    """
    pixels = keras.Input((*size, 3), name="pixels")
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(features(pixels))
    x = layers.Dropout(HIDDEN_DROPOUT, name="hidden_dropout")(x)
    return keras.Model(pixels, layers.Dense(1, activation="sigmoid", name="probabilities")(x), name="gautam_cnn")


def features(pixels: keras.KerasTensor, prefix: str = "") -> keras.KerasTensor:
    """Apply the five convolutions: (n, height, width, 3) in, (n, height // 32 * (width // 32) * 128) out.

    Args:
        pixels: the picture, or its Error Level Analysis.
        prefix: of the layers' names.
    """
    x = pixels
    for number, channels in enumerate(CHANNELS, 1):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"{prefix}conv_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"{prefix}pool_{number}")(x)
        x = layers.Dropout(DROPOUT, name=f"{prefix}pool_{number}_dropout")(x)
    return layers.Flatten(name=f"{prefix}flat")(x)
