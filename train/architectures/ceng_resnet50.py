"""Builds the CENG 476 report's ResNet50 under two dense layers, frozen or with its last stage trained.

The backbone: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385 (2015), table 1, 50 layers.
Pixels come as its ImageNet weights want them: BGR, 0..255, less the mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

HIDDEN = 256
DROPOUT = 0.5


def build(size: tuple[int, int], weights: Mapping[str, str | None], *, trainable_from: str) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in, (n, 2) softmax out.

    Args:
        size: height and width of the input in pixels.
        weights: by backbone; of `resnet50` a file without the top, or None for random ones.
        trainable_from: the first stage of ResNet50 that is trained, `conv2` to `conv5`; empty freezes all of them.
    """
    pixels = keras.Input((*size, 3), name="pixels")
    base = keras.applications.ResNet50(
        input_shape=(*size, 3), input_tensor=pixels, include_top=False, weights=weights["resnet50"]
    )
    for layer in base.layers:
        # The names sort as the stages do; pool1 has no weights. Batch normalisation that is frozen keeps its ImageNet
        # statistics in training, too: Keras runs it as in inference.
        layer.trainable = bool(trainable_from) and layer.name >= trainable_from
    x = layers.GlobalAveragePooling2D(name="mean")(base.output)
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(x)
    x = layers.Dropout(DROPOUT, name="hidden_dropout")(x)
    return keras.Model(pixels, layers.Dense(2, activation="softmax", name="probabilities")(x), name="ceng_resnet50")
