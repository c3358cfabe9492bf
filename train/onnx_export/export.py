"""Exports a Keras model to an ONNX file with a card, and checks the file against Keras on real pictures."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import onnx
from onnx import helper

from scanner.detector.card import Card
from scanner.detector.model import Detector, Region
from scanner.detector.outputs import sigmoid
from scanner.errors import FacescanError
from train.fitting.fit import logits
from train.onnx_export.activation import with_activation
from train.onnx_export.card import save
from train.recipes.schema import Recipe

# The newest that tf2onnx uses by default; every ONNX Runtime that the scanner accepts reads it.
OPSET = 15
# Largest allowed difference between the uncalibrated probabilities of Keras and of the file. Logits are not compared:
# those of a saturated softmax depend on the last bits of a float32.
TOLERANCE = 1e-4


def export(model: keras.Model, recipe: Recipe, card: Card, file: Path, regions: Sequence[Region]) -> float:
    """Export a model and check the file.

    Args:
        model: with its inputs in the order of the recipe's; without Random* and Normalization layers, which cannot be
            converted.
        recipe: that the model was trained by.
        card: to put into the file.
        file: to write; an earlier file is replaced only if the check succeeds.
        regions: crops of real pictures, to compare on in batches of two sizes.

    Returns:
        The largest difference found between two probabilities.

    Raises:
        FacescanError: the file does not load, or differs from Keras by more than `TOLERANCE`.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        draft = Path(folder) / file.name
        graph = _with_means(_tidy(_convert(model, recipe, draft), card))
        save(*with_activation(graph, card), draft)
        detector = Detector(draft)
        scores = np.concatenate([detector.logits(regions[:1]), detector.logits(regions[1:])])
        difference = float(np.abs(sigmoid(scores) - sigmoid(logits(model, regions, recipe))).max())
        if not difference <= TOLERANCE:  # not a number fails too
            raise FacescanError(f"{file.name}: ONNX and Keras differ by {difference:.2g}, more than {TOLERANCE:g}")
        os.replace(draft, file)
    return difference


def _convert(model: keras.Model, recipe: Recipe, file: Path) -> onnx.ModelProto:
    # The converter may change the order of the inputs, but not these names, which are those of the card.
    shapes = {spec.name: (*spec.size, 3) for spec in recipe.inputs}
    if keras.backend.backend() == "tensorflow":
        convert(model, shapes, file)
    else:  # only TensorFlow models are converted, and a process cannot change its backend
        saved = file.with_suffix(".keras")
        model.save(saved)
        done = subprocess.run(
            [sys.executable, "-m", "train.onnx_export.export", str(saved), json.dumps(shapes), str(file)],
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise FacescanError(
                f"{file.name}: TensorFlow, which exports the networks of every backend, failed: {reason}"
            )
    return onnx.load_model(file)


def convert(model: keras.Model, shapes: Mapping[str, Sequence[int]], file: Path) -> None:
    """Convert a model to an ONNX file, without a card.

    Args:
        model: any Keras model on the backend TensorFlow.
        shapes: (height, width, channels) by the input's name in the file, in the order of the model's inputs.
        file: to write.
    """
    signature = [keras.InputSpec(dtype="float32", shape=(None, *shape), name=name) for name, shape in shapes.items()]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # the converter prints its progress
        warnings.simplefilter("ignore")
        model.export(
            str(file),
            format="onnx",
            verbose=False,
            input_signature=signature if len(signature) == 1 else [signature],
            opset_version=OPSET,
        )


def _tidy(graph: onnx.ModelProto, card: Card) -> onnx.ModelProto:
    """Sort the inputs as the card does, and name output and batch: the converter's are `Identity:0` and `unk__21`."""
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


def _with_means(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace means over the vectors of tokens by `ReduceMean`, so that ONNX Runtime finds the layer normalisation.

    The converter writes `GlobalAveragePool`, which computes the same, but a transformer of ten blocks took a third
    longer with it.
    """
    shapes = onnx.shape_inference.infer_shapes(model).graph.value_info
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in shapes}
    for node in model.graph.node:
        if node.op_type == "GlobalAveragePool" and ranks.get(node.input[0]) == 3:
            node.op_type = "ReduceMean"
            node.attribute.extend([helper.make_attribute("axes", [-1]), helper.make_attribute("keepdims", 1)])
    return model


if __name__ == "__main__":
    convert(keras.models.load_model(sys.argv[1], compile=False), json.loads(sys.argv[2]), Path(sys.argv[3]))
