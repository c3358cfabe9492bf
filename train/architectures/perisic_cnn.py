"""Builds Perisic and Jovanovic's three convolutions with batch normalisation.

The normalisation follows the ReLU, as in the study. Its padding is not given: the borders are padded here, as in the
VGG16 that the study sets beside it, so that at 224 px 28 x 28 x 128 = 100,352 values are flattened.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

CHANNELS = (64, 128, 128)
HIDDEN = 256
DROPOUT = 0.4


def build(size: tuple[int, int], weights: Mapping[str, str | None]) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in, (n, 1) sigmoid out.

    Args:
        size: height and width of the input in pixels.
        weights: not used, because there is no backbone.
    """
    x = pixels = keras.Input((*size, 3), name="pixels")
    for number, channels in enumerate(CHANNELS, 1):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"conv_{number}")(x)
        x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(x)
    x = layers.Dropout(DROPOUT, name="hidden_dropout")(x)
    return keras.Model(pixels, layers.Dense(1, activation="sigmoid", name="probabilities")(x), name="perisic_cnn")
