"""Builds the CENG 476 report's SimpleCNN: three convolutions with batch normalisation.

As in the report's diagram, the normalisation precedes the ReLU, and the first dropout follows the third pooling. How
the convolutions pad is not said: with padding, so that at 128 px 16 x 16 x 128 = 32,768 values are flattened.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

CHANNELS = (32, 64, 128)
HIDDEN = 256


def build(
    size: tuple[int, int], weights: Mapping[str, str | None], *, dropout: tuple[float, float] = (0.3, 0.5)
) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in, (n, 2) softmax out.

    Args:
        size: height and width of the input in pixels.
        weights: not used, because there is no backbone.
        dropout: after the third pooling, and after the hidden units.
    """
    x = pixels = keras.Input((*size, 3), name="pixels")
    for number, channels in enumerate(CHANNELS, 1):
        x = layers.Conv2D(channels, 3, padding="same", name=f"conv_{number}")(x)
        x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.Activation("relu", name=f"relu_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = layers.Dropout(dropout[0], name="pool_3_dropout")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(x)
    x = layers.Dropout(dropout[1], name="hidden_dropout")(x)
    return keras.Model(pixels, layers.Dense(2, activation="softmax", name="probabilities")(x), name="ceng_simplecnn")
