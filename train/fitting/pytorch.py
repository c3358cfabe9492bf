"""Applies PyTorch's defaults where Keras has others, for the studies that were made with PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras
from keras import layers

# torch.nn.BatchNorm2d has momentum 0.1, the weight of the new batch; Keras' momentum is the weight of the old average.
MOMENTUM, EPSILON = 0.9, 1e-5
# torch.optim.Adam's eps; Keras has 1e-7.
ADAM_EPSILON = 1e-8


def as_pytorch(model: keras.Model, pretrained: bool) -> None:
    """Give a new network PyTorch's batch normalisation and initial weights.

    Args:
        model: changed in place, before training.
        pretrained: whether the network has a backbone. Its convolutions and the epsilon of its batch normalisation
            then stay as the ImageNet weights were trained with; only the dense layers, the new head, get new weights.
    """
    for layer in _all_layers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
            if not pretrained:
                layer.epsilon = EPSILON
        elif isinstance(layer, layers.Dense) or (isinstance(layer, layers.Conv2D) and not pretrained):
            _draw(layer)


def _draw(layer: layers.Layer) -> None:
    """Draw kernel and bias uniformly from ±1 / sqrt(number of inputs of a unit)."""
    bound = 1 / math.sqrt(math.prod(layer.kernel.shape[:-1]))
    draw = keras.initializers.RandomUniform(-bound, bound)
    layer.kernel.assign(draw(layer.kernel.shape))
    if layer.use_bias:
        layer.bias.assign(draw(layer.bias.shape))


def _all_layers(model: keras.Model) -> Iterator[layers.Layer]:
    for layer in model.layers:
        yield from _all_layers(layer) if isinstance(layer, keras.Model) else [layer]
