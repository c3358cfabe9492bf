"""Builds Gautam and Chandra's ImageNet networks, trained whole, for the picture or its Error Level Analysis.

The backbones: VGG16, Simonyan and Zisserman, arXiv:1409.1556 (2014); ResNet50, He et al., "Deep Residual Learning for
Image Recognition", arXiv:1512.03385 (2015); MobileNet v1, Howard et al., arXiv:1704.04861 (2017);
MobileNet v2, Sandler et al., arXiv:1801.04381 (2018). Pixels come with ImageNet's mean and deviation, as the report
normalises them for all its networks.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import layers

BACKBONES = {
    "mobilenet": keras.applications.MobileNet,
    "mobilenet_v2": keras.applications.MobileNetV2,
    "resnet50": keras.applications.ResNet50,
    "vgg16": keras.applications.VGG16,
}
HIDDEN = 256
DROPOUT = 0.5


def build(size: tuple[int, int], weights: Mapping[str, str | None], *, backbone: str, classes: int) -> keras.Model:
    """Build the network: (n, height, width, 3) float32 in, (n, classes) softmax or, of one class, sigmoid out.

    Args:
        size: height and width of the input in pixels.
        weights: by backbone; a file without the top, or None for random ones.
        backbone: one of `BACKBONES`.
        classes: 1 or 2.
    """
    pixels = keras.Input((*size, 3), name="pixels")
    x = features(backbone, pixels, weights[backbone])
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(x)
    x = layers.Dropout(DROPOUT, name="hidden_dropout")(x)
    activation = "sigmoid" if classes == 1 else "softmax"
    x = layers.Dense(classes, activation=activation, name="probabilities")(x)
    return keras.Model(pixels, x, name=f"gautam_{backbone}")


def features(backbone: str, pixels: keras.KerasTensor, weights: str | None, prefix: str = "") -> keras.KerasTensor:
    """Average the last map of a backbone: (n, height, width, 3) in, (n, channels of the last convolution) out.

    Args:
        backbone: one of `BACKBONES`.
        pixels: the picture, or its Error Level Analysis.
        weights: a file without the top, or None for random ones.
        prefix: of the layers' names.
    """
    shape = pixels.shape[1:]
    inner = keras.Input(shape, name=f"{prefix}{backbone}_pixels")
    # A model of its own within the network, because MobileNet and ResNet50 give the same names to some of their layers.
    base = BACKBONES[backbone](
        input_shape=shape, input_tensor=inner, include_top=False, weights=weights, name=f"{prefix}{backbone}"
    )
    return layers.GlobalAveragePooling2D(name=f"{prefix}mean")(base(pixels))
