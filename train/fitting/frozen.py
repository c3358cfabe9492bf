"""A network whose first layers are frozen -> those, and the rest that is trained.

What a frozen trunk makes of a picture never changes: it is computed once, instead of in every epoch.
"""

from __future__ import annotations

import keras
from keras import layers


def part(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """The longest frozen trunk and the head that takes its only output; the head shares its layers with the model.

    None if nothing is frozen, or if more than one tensor leads from frozen layers to others.
    """
    trained: set[int] = set()  # tensors that depend on weights being trained, or on chance
    leading_over: dict[int, keras.KerasTensor] = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        changes = bool(layer.trainable_weights) or isinstance(layer, layers.Dropout)
        if changes or any(id(source) in trained for source in sources):
            trained.add(id(layer.output))
            leading_over |= {id(source): source for source in sources if id(source) not in trained}
    if len(leading_over) != 1:
        return None
    (cut,) = leading_over.values()
    trunk = keras.Model(model.inputs, cut)
    return (trunk, keras.Model(cut, model.output)) if trunk.weights else None
