"""Several networks as one: the mean of their logits."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np


def ensemble(members: Sequence[keras.Model]) -> keras.Model:
    """One network whose logit is the mean of the members'.

    Their last layers become one, which sees the features of all side by side. So it ends as each of them does, and
    where it looked can be told as of one of them (`train.onnx_export.activation`).

    Args:
        members: with the same inputs; each ends in a dense layer without an activation.

    Raises:
        ValueError: one ends otherwise.
    """
    inputs = [keras.Input(tensor.shape[1:], name=tensor.name) for tensor in members[0].inputs]
    fed = inputs[0] if len(inputs) == 1 else inputs
    heads = [member.layers[-1] for member in members]
    if not all(isinstance(head, keras.layers.Dense) and head.activation is keras.activations.linear for head in heads):
        raise ValueError("only logits of dense layers are averaged")
    features = [
        keras.Model(member.inputs, head.input, name=f"member_{number}")(fed)
        for number, (member, head) in enumerate(zip(members, heads, strict=True), start=1)
    ]
    head = keras.layers.Dense(heads[0].units, name=heads[0].name)
    model = keras.Model(fed, head(keras.layers.concatenate(features)), name=members[0].name)
    kernels, biases = zip(*(each.get_weights() for each in heads), strict=True)
    head.set_weights([np.concatenate(kernels) / len(members), np.mean(biases, axis=0)])
    return model
