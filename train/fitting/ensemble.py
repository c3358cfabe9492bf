"""Joins several networks to one whose logit is the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np


def ensemble(members: Sequence[keras.Model]) -> keras.Model:
    """Join networks to one whose logit is the mean of theirs.

    Their last layers become one dense layer over the features of all of them. So the ensemble ends as a single network
    does, and `train.onnx_export.activation` works for it, too.

    Args:
        members: with the same inputs; each ends in a dense layer without an activation.

    Raises:
        ValueError: a member ends in another layer.
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
