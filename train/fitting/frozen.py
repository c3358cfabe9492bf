"""Splits a network with frozen first layers into the frozen trunk and the head that is trained.

The trunk's output for a picture never changes: it is computed once instead of in every epoch.
"""

from __future__ import annotations

import keras
from keras import layers


def split_frozen(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """Split a network into its frozen trunk and the head that takes the trunk's only output.

    Returns:
        The longest frozen trunk, and the head, which shares its layers with the model; None if nothing is frozen, or
        if more than one tensor leads from frozen layers to others.
    """
    trained: set[int] = set()  # ids of tensors that depend on trainable weights or on dropout
    crossing: dict[int, keras.KerasTensor] = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        varies = bool(layer.trainable_weights) or isinstance(layer, layers.Dropout)
        if varies or any(id(source) in trained for source in sources):
            trained.add(id(layer.output))
            crossing |= {id(source): source for source in sources if id(source) not in trained}
    if len(crossing) != 1:
        return None
    (cut,) = crossing.values()
    trunk = keras.Model(model.inputs, cut)
    return (trunk, keras.Model(cut, model.output)) if trunk.weights else None
