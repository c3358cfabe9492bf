"""Batch-normalisation statistics measured anew, where training was too short for the moving averages to arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import layers

# A moving average has e**-5 = 0.7 % of its initial value left after 5 / (1 - momentum) steps: 500 of Keras' default.
LEFT = 5
# Batches that the statistics are the mean of, at most.
BATCHES = 50


def settle(model: keras.Model, make_batches: Callable[[], Sequence[tuple[Any, Any]]], steps: int) -> bool:
    """Set the moving statistics to their mean over training batches, if a run had too few steps for them.

    Args:
        model: trained; only its statistics change.
        make_batches: gives batches of training pictures, as in training; called only if they are needed.
        steps: that the model was trained for.

    Returns:
        Whether the statistics were measured anew.
    """
    norms = [norm for norm in _trained_norms(model) if steps < round(LEFT / (1 - norm.momentum))]
    if not norms:
        return False
    batches = make_batches()
    momenta = [norm.momentum for norm in norms]
    for number in range(min(BATCHES, len(batches))):
        for norm in norms:
            norm.momentum = number / (number + 1)  # the mean of all batches so far
        model(batches[number][0], training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return True


def _trained_norms(model: keras.Model) -> Iterator[layers.BatchNormalization]:
    """Those that are not frozen: a frozen one keeps its statistics in training, too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _trained_norms(layer)
        elif isinstance(layer, layers.BatchNormalization) and layer.trainable:
            yield layer
