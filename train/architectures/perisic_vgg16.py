"""Builds Perisic and Jovanovic's frozen VGG16 under two dense layers.

The backbone: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556 (2014), table 1, column D. Pixels come as its ImageNet weights want them: BGR, 0..255, less the mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

HIDDEN = 512
DROPOUT = 0.4


def build(size: tuple[int, int], weights: Mapping[str, str | None]) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in, (n, 1) sigmoid out.

    Args:
        size: height and width of the input in pixels.
        weights: by backbone; of `vgg16` a file without the top, or None for random ones.
    """
    pixels = keras.Input((*size, 3), name="pixels")
    base = keras.applications.VGG16(
        input_shape=(*size, 3), input_tensor=pixels, include_top=False, weights=weights["vgg16"]
    )
    base.trainable = False
    x = layers.Flatten(name="flat")(base.output)
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(x)
    x = layers.Dropout(DROPOUT, name="hidden_dropout")(x)
    return keras.Model(pixels, layers.Dense(1, activation="sigmoid", name="probabilities")(x), name="perisic_vgg16")
