"""Builds Gautam and Chandra's fusions: one branch gets the picture, another its Error Level Analysis.

The outputs of the branches' convolutions are joined, flattened (five convolutions) or averaged (ImageNet networks). The
fusion has dense layers of its own instead of those of the branches.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

from train.architectures import gautam_backbone, gautam_cnn

INPUTS = ("pixels", "ela")
HIDDEN = 256
DROPOUT = 0.5


def build(size: tuple[int, int], weights: Mapping[str, str | None], *, branches: tuple[str, str]) -> keras.Model:
    """Build the network: picture and Error Level Analysis, (n, height, width, 3) float32 each, in; (n, 2) softmax out.

    Args:
        size: height and width of both inputs in pixels.
        weights: by backbone; a file without the top, or None for random ones.
        branches: for the picture and for its Error Level Analysis: `cnn`, or a backbone.
    """
    inputs = [keras.Input((*size, 3), name=name) for name in INPUTS]
    joined = [_features(branch, tensor, weights) for branch, tensor in zip(branches, inputs, strict=True)]
    x = layers.Concatenate(name="joined")(joined)
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(x)
    x = layers.Dropout(DROPOUT, name="hidden_dropout")(x)
    x = layers.Dense(2, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, x, name=f"gautam_{'_'.join(branches)}")


def _features(branch: str, tensor: keras.KerasTensor, weights: Mapping[str, str | None]) -> keras.KerasTensor:
    prefix = f"{tensor.name}_"
    if branch == "cnn":
        return gautam_cnn.features(tensor, prefix)
    return gautam_backbone.features(branch, tensor, weights[branch], prefix)
