"""Keras -> an ONNX file that carries its card, checked against Keras on real pictures."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import onnx

from scanner.card import PREFIX, Card
from scanner.errors import FacescanError
from scanner.model import Detector, Region
from train.fit import logits
from train.recipes import Recipe

# Read by every ONNX Runtime that the scanner accepts, and the newest that tf2onnx takes for granted.
OPSET = 15
# The largest difference between the logits of Keras and of the file.
TOLERANCE = 1e-4


def export(model: keras.Model, recipe: Recipe, card: Card, file: Path, regions: Sequence[Region]) -> float:
    """Write the file and check it.

    Args:
        model: of the recipe; without Random* or Normalization layers, which do not survive the conversion.
        recipe: that it was trained by.
        card: to put into the file.
        file: to write; only replaced if all is well.
        regions: of real pictures, to compare on, in batches of several sizes.

    Returns:
        The largest difference found between two logits.

    Raises:
        FacescanError: the file does not load, or differs from Keras by more than `TOLERANCE`.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        draft = Path(folder) / file.name
        graph = _tidy(_convert(model, recipe, draft), card)
        save(graph, card, draft)
        detector = Detector(draft)
        scores = np.concatenate([detector.logits(regions[:1]), detector.logits(regions[1:])])
        difference = float(np.abs(scores - logits(model, regions, recipe)).max())
        if not difference <= TOLERANCE:  # not a number fails too
            raise FacescanError(f"{file.name}: ONNX and Keras differ by {difference:.2g}, more than {TOLERANCE:g}")
        os.replace(draft, file)
    return difference


def save(graph: onnx.ModelProto, card: Card, file: Path) -> None:
    """Write an ONNX model with this card and no other metadata."""
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, card.to_metadata())
    onnx.checker.check_model(graph, full_check=True)
    file.write_bytes(graph.SerializeToString())


def write_card(file: Path, card: Card) -> None:
    """Replace the card of an ONNX file; the graph and foreign metadata stay as they are.

    Raises:
        FacescanError: the scanner would refuse the outcome; the file stays as it was.
    """
    graph = onnx.load_model(file)
    kept = {prop.key: prop.value for prop in graph.metadata_props if not prop.key.startswith(PREFIX)}
    onnx.helper.set_model_props(graph, kept | card.to_metadata())
    draft = file.with_name(f".{file.name}.partial")
    draft.write_bytes(graph.SerializeToString())
    try:
        Detector(draft)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _convert(model: keras.Model, recipe: Recipe, file: Path) -> onnx.ModelProto:
    height, width = recipe.input.size
    signature = [keras.InputSpec(dtype="float32", shape=(None, height, width, 3), name=recipe.input.name)]
    with contextlib.redirect_stdout(io.StringIO()):  # the converter prints its progress
        model.export(str(file), format="onnx", verbose=False, input_signature=signature, opset_version=OPSET)
    return onnx.load_model(file)


def _tidy(graph: onnx.ModelProto, card: Card) -> onnx.ModelProto:
    """Name the input, the output and the batch as the card does (the converter's are `Identity:0`, `unk__21`)."""
    new_names = {
        graph.graph.input[0].name: card.inputs[0].name,
        graph.graph.output[0].name: card.output.name,
    }
    for node in graph.graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
        node.output[:] = [new_names.get(name, name) for name in node.output]
    for tensor in (graph.graph.input[0], graph.graph.output[0]):
        tensor.name = new_names[tensor.name]
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.graph.value_info[:]  # inferred shapes, under the old names
    graph.graph.name = card.name
    return graph
