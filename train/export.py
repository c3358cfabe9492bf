"""Keras -> an ONNX file that carries its card, checked against Keras on real pictures."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import onnx
from numpy.typing import NDArray

from scanner.card import Card
from scanner.errors import FacescanError
from scanner.model import Detector, Region
from train.card import save
from train.fit import logits
from train.recipes import Recipe

# Read by every ONNX Runtime that the scanner accepts, and the newest that tf2onnx takes for granted.
OPSET = 15
# The largest difference between the probabilities of Keras and of the file, before calibration. Not between their
# logits: those of a saturated softmax hang on the last bits of a float32.
TOLERANCE = 1e-4


def export(model: keras.Model, recipe: Recipe, card: Card, file: Path, regions: Sequence[Region]) -> float:
    """Write the file and check it.

    Args:
        model: of the recipe, its inputs in the order of the recipe's; without Random* or Normalization layers, which do
            not survive the conversion.
        recipe: that it was trained by.
        card: to put into the file.
        file: to write; only replaced if all is well.
        regions: of real pictures, to compare on, in batches of several sizes.

    Returns:
        The largest difference found between two probabilities.

    Raises:
        FacescanError: the file does not load, or differs from Keras by more than `TOLERANCE`.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        draft = Path(folder) / file.name
        graph = _tidy(_convert(model, recipe, draft), card)
        save(graph, card, draft)
        detector = Detector(draft)
        scores = np.concatenate([detector.logits(regions[:1]), detector.logits(regions[1:])])
        difference = float(np.abs(_p_fake(scores) - _p_fake(logits(model, regions, recipe))).max())
        if not difference <= TOLERANCE:  # not a number fails too
            raise FacescanError(f"{file.name}: ONNX and Keras differ by {difference:.2g}, more than {TOLERANCE:g}")
        os.replace(draft, file)
    return difference


def _convert(model: keras.Model, recipe: Recipe, file: Path) -> onnx.ModelProto:
    # The converter may order and name as it likes, but keeps these names; so they are those of the card.
    signature = [
        keras.InputSpec(dtype="float32", shape=(None, *spec.size, 3), name=spec.name) for spec in recipe.inputs
    ]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # the converter prints its progress
        warnings.simplefilter("ignore")
        model.export(
            str(file),
            format="onnx",
            verbose=False,
            input_signature=signature if len(signature) == 1 else [signature],
            opset_version=OPSET,
        )
    return onnx.load_model(file)


def _tidy(graph: onnx.ModelProto, card: Card) -> onnx.ModelProto:
    """Inputs in the card's order, and the output and the batch named (the converter's are `Identity:0`, `unk__21`)."""
    inputs = {tensor.name.removesuffix(":0"): tensor for tensor in graph.graph.input}
    new_names = {tensor.name: name for name, tensor in inputs.items()}
    new_names[graph.graph.output[0].name] = card.output.name
    for node in graph.graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
        node.output[:] = [new_names.get(name, name) for name in node.output]
    order = {spec.name: i for i, spec in enumerate(card.inputs)}
    ordered = sorted(inputs.values(), key=lambda tensor: order.get(new_names[tensor.name], len(order)))
    ordered = [onnx.ValueInfoProto.FromString(tensor.SerializeToString()) for tensor in ordered]
    del graph.graph.input[:]
    graph.graph.input.extend(ordered)
    for tensor in (*graph.graph.input, graph.graph.output[0]):
        tensor.name = new_names[tensor.name]
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.graph.value_info[:]  # inferred shapes, under the old names
    graph.graph.name = card.name
    return graph


def _p_fake(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
