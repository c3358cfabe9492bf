"""Recomputes batch-normalisation statistics after a training too short for their moving averages to converge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import layers

# A moving average has e**-5 = 0.7 % of its initial value left after 5 / (1 - momentum) steps: 500 of Keras' default.
TIME_CONSTANTS = 5
# Batches over which the recomputed statistics are averaged, at most.
MAX_BATCHES = 50


def remeasure_statistics(model: keras.Model, make_batches: Callable[[], Sequence[tuple[Any, Any]]], steps: int) -> bool:
    """Set the moving statistics to their mean over training batches, if the training had too few steps for them.

    Args:
        model: trained; only its moving means and variances change.
        make_batches: returns batches of training pictures, as in training; called only if they are needed.
        steps: number of optimiser steps of the training.

    Returns:
        Whether the statistics were recomputed.
    """
    norms = [norm for norm in _trained_norms(model) if steps < round(TIME_CONSTANTS / (1 - norm.momentum))]
    if not norms:
        return False
    batches = make_batches()
    momenta = [norm.momentum for norm in norms]
    for number in range(min(MAX_BATCHES, len(batches))):
        for norm in norms:
            norm.momentum = number / (number + 1)  # the mean of all batches so far
        model(batches[number][0], training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return True


def _trained_norms(model: keras.Model) -> Iterator[layers.BatchNormalization]:
    """Yield the batch-normalisation layers that are not frozen: training leaves the statistics of frozen ones alone."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _trained_norms(layer)
        elif isinstance(layer, layers.BatchNormalization) and layer.trainable:
            yield layer
