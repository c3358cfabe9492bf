"""Builds a MobileNet v1 without its last blocks, with one logit.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", arXiv:1704.04861
(2017), table 1. Pixels come scaled to -1..1, as its ImageNet weights want them.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

# After the last block of 512 channels: the grid is a 16th of the input and not yet a 32nd, and the two blocks of 1,024
# channels that follow hold half of the 3.2 million parameters.
LAST_LAYER = "conv_pw_11_relu"
DROPOUT = 0.3


def build(size: tuple[int, int], weights: Mapping[str, str | None]) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in -1..1 in, (n, 1) logit of fake out.

    Args:
        size: height and width of the input in pixels.
        weights: by backbone; of `mobilenet` a file without the top (`mobilenet_1_0_224_tf_no_top.h5`), or None
            for random ones.
    """
    pixels = keras.Input((*size, 3), name="pixels")
    base = keras.applications.MobileNet(
        input_shape=(*size, 3), input_tensor=pixels, alpha=1.0, include_top=False, weights=weights["mobilenet"]
    )
    features = base.get_layer(LAST_LAYER).output
    mean = layers.GlobalAveragePooling2D(name="mean")(features)
    peak = layers.GlobalMaxPooling2D(name="peak")(features)
    pooled = layers.Concatenate(name="pooled")([mean, peak])
    pooled = layers.Dropout(DROPOUT, name="pooled_dropout")(pooled)
    logit = layers.Dense(1, name="logit")(pooled)
    return keras.Model(pixels, logit, name="mobilenet")
