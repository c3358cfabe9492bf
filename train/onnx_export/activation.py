"""Adds a second output to an ONNX file: the class activation map, what each place adds to the log-odds of fake.

It works for networks that end in a mean or a maximum (or both) over the places of one feature map, and one dense layer.
Then the log-odds are a sum over places, and the second output has exactly the terms of that sum:

- for a mean, each place has weight x feature / number of places: the class activation map of Zhou et al. 2016,
  "Learning Deep Features for Discriminative Localization", arXiv:1512.04150;
- for a maximum, the place of the maximum has weight x feature, or equal parts if there are several such places;
- the bias is divided equally among all places.

For a vision transformer, the terms are those of its patches: see `train.onnx_export.token_parts`.

`python -m train.onnx_export.activation FILE` adds the output to a file that was exported without it. Weights and scores
do not change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from scanner.detector.card import Card
from scanner.detector.model import Detector
from scanner.errors import FacescanError
from train.onnx_export.card import write_card
from train.onnx_export.token_parts import TokenHead, add_token_parts, token_head

OUTPUT = "activation"
_PREFIX = f"{OUTPUT}/"
_OPSET = 13  # the first in which axes are inputs
_ENDS = {"Sigmoid", "Softmax", "Identity"}
# Operators that may stand between a pooling and the dense layer: none moves a value to another channel.
_PASSING = {"Squeeze", "Flatten", "Reshape", "Identity", "Dropout", "QuantizeLinear", "DequantizeLinear"}
_POOLINGS = {"GlobalAveragePool": "mean", "GlobalMaxPool": "peak"}


@dataclass(frozen=True, slots=True)
class _Pooled:
    """Describes a part of the dense layer's input: `values`, pooled by `kind` from the feature map `features`."""

    kind: str
    features: str
    values: str
    channels: int
    places: tuple[int, int]


def with_activation(model: onnx.ModelProto, card: Card) -> tuple[onnx.ModelProto, Card]:
    """Return the model with the second output, and the card that names it; both without one if there is no map."""
    model = without_activation(model, card)
    card = replace(card, activation="")
    head = _head(model, card)
    if head is None:
        return model, card
    end, weights, bias = head
    if isinstance(end, TokenHead):
        places = add_token_parts(model.graph, end, weights, bias, OUTPUT)
    else:
        places = _extend(model.graph, end, weights, bias)
    batch = model.graph.output[0].type.tensor_type.shape.dim[0]
    batch_name = batch.dim_param or batch.dim_value or "batch"
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch_name, *places]))
    return model, replace(card, activation=OUTPUT)


def without_activation(model: onnx.ModelProto, card: Card) -> onnx.ModelProto:
    """Return a copy of the model that computes the score only."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    scores = [tensor for tensor in graph.output if tensor.name == card.output.name]
    needed, nodes = {card.output.name}, list[onnx.NodeProto]()
    for node in reversed(graph.node):  # they are in the order of computation
        if needed.intersection(node.output):
            nodes.insert(0, node)
            needed.update(node.input)
            needed.update(name for inner in _inner(node) for name in inner.input)
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    for field, values in ((graph.output, scores), (graph.node, nodes), (graph.initializer, tensors)):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(copies)
    return model


def add_activation(file: Path) -> bool:
    """Add the second output to an ONNX file with a card, if its network has a map.

    Returns:
        Whether the output was added.

    Raises:
        FacescanError: the file is no detector, or the scanner refuses the new one; the file stays as it was.
    """
    card = Detector(file).card
    loaded = onnx.load_model(file)
    model, card = with_activation(loaded, card)
    if not card.activation:
        return False
    # Metadata of other programs stay.
    draft = file.with_name(f".{file.name}.draft")
    try:
        onnx.checker.check_model(model, full_check=True)
        draft.write_bytes(model.SerializeToString())
        write_card(draft, card, file)
    except OSError as error:
        raise FacescanError(f"{file}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return True


def _inner(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of the graphs within a node such as `If`: they may use values that are computed outside."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield inner
                yield from _inner(inner)


def _head(model: onnx.ModelProto, card: Card) -> tuple[list[_Pooled] | TokenHead, NDArray[np.float32], float] | None:
    """Find the parts of the dense layer's input, and its weights (channels,) and bias for the log-odds of fake.

    None if the network has another end.
    """
    if min(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")) < _OPSET:
        return None
    nodes = {name: node for node in model.graph.node for name in node.output}
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    node = nodes.get(card.output.name)
    if node is not None and node.op_type in _ENDS:
        node = nodes.get(node.input[0])
    dense = _dense(node, nodes, values)
    if dense is None:
        return None
    name, weights, bias = dense
    towards = _towards_fake(weights.shape[1], card)
    if towards is None:
        return None
    towards_weights, towards_bias = (weights @ towards).astype(np.float32), float(bias @ towards)
    if tokens := token_head(name, model, nodes, values):
        return tokens, towards_weights, towards_bias
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {tensor.name: tensor.type.tensor_type.shape for tensor in inferred.value_info}
    pooled = _pooled(name, nodes, {name: [dim.dim_value for dim in shape.dim] for name, shape in shapes.items()})
    fits = pooled and sum(part.channels for part in pooled) == len(weights)
    if not fits or len({part.places for part in pooled}) != 1:
        return None
    return pooled, towards_weights, towards_bias


def _dense(
    node: onnx.NodeProto | None, nodes: dict[str, onnx.NodeProto], values: dict[str, NDArray[np.float32]]
) -> tuple[str, NDArray[np.float32], NDArray[np.float32]] | None:
    """Take a dense layer apart.

    Args:
        node: the layer's last node: MatMul, Gemm, or Add after one of them.
        nodes: of the graph, by the names of their outputs.
        values: constants of the graph, by name.

    Returns:
        The name of its input, its weights (channels, columns) and its bias (columns,); None for another node.
    """
    bias: NDArray[np.float32] | None = None
    if node is not None and node.op_type == "Add":
        constants = [name for name in node.input if name in values]
        others = [name for name in node.input if name not in values]
        if len(constants) != 1:
            return None
        bias, node = values[constants[0]], nodes.get(others[0])
    product = _product(node, values)
    if product is None or node is None:
        return None
    weights, inner_bias = product
    if inner_bias is not None and bias is not None:
        return None
    columns = weights.shape[1]
    bias = next((one for one in (bias, inner_bias) if one is not None), np.zeros(columns, np.float32))
    return (node.input[0], weights, np.broadcast_to(bias.ravel(), columns)) if bias.size in (1, columns) else None


def _product(
    node: onnx.NodeProto | None, values: dict[str, NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None] | None:
    """Return weights (channels, columns) and bias of a MatMul or Gemm by constants; None for anything else."""
    if node is None or node.op_type not in ("MatMul", "Gemm") or node.input[1] not in values:
        return None
    weights, bias = values[node.input[1]], None
    if node.op_type == "Gemm":
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0 or attributes.get("transA", 0):
            return None
        weights = weights.T if attributes.get("transB", 0) else weights
        if len(node.input) > 2:
            if node.input[2] not in values:
                return None
            bias = values[node.input[2]]
    return (weights, bias) if weights.ndim == 2 else None


def _towards_fake(columns: int, card: Card) -> NDArray[np.float64] | None:
    """Return the factors by which the output's columns sum to the log-odds of fake, (columns,); None if unknown."""
    if columns == 1 and card.output.kind != "softmax":
        return np.array([1.0 if card.fake == 1 else -1.0])
    if columns == 2 and card.output.kind != "sigmoid":
        return np.array([1.0 if column == card.fake else -1.0 for column in range(2)])
    return None


def _pooled(name: str, nodes: dict[str, onnx.NodeProto], shapes: dict[str, list[int]]) -> list[_Pooled]:
    """List the poolings that a tensor (n, channels) is joined of; empty if it is anything else."""
    node = nodes.get(name)
    if node is None:
        return []
    if node.op_type == "Concat":
        parts = [_pooled(part, nodes, shapes) for part in node.input]
        return [one for part in parts for one in part] if all(parts) else []
    if node.op_type in _PASSING:
        return _pooled(node.input[0], nodes, shapes)
    if node.op_type not in _POOLINGS:
        return []
    features = node.input[0]
    shape = shapes.get(features, [])
    if len(shape) != 4 or not all(shape[1:]):
        return []
    return [_Pooled(_POOLINGS[node.op_type], features, node.output[0], shape[1], (shape[2], shape[3]))]


def _extend(
    graph: onnx.GraphProto, pooled: Sequence[_Pooled], weights: NDArray[np.float32], bias: float
) -> tuple[int, int]:
    """Add the nodes that compute the terms of the sum; return rows and columns of places."""
    height, width = pooled[0].places
    terms, start = [], 0
    for number, part in enumerate(pooled):
        part_weights = weights[start : start + part.channels].reshape(1, -1, 1, 1)
        start += part.channels
        make = _mean_terms if part.kind == "mean" else _peak_terms
        terms.append(make(graph, part, part_weights, f"{_PREFIX}{number}_"))
    share = _constant(graph, f"{_PREFIX}bias", np.float32(bias / (height * width)))
    axis = _constant(graph, f"{_PREFIX}channels", np.array([1]))
    _node(graph, "Sum", [*terms, share], f"{_PREFIX}sum")
    _node(graph, "Squeeze", [f"{_PREFIX}sum", axis], OUTPUT)
    return height, width


def _mean_terms(graph: onnx.GraphProto, part: _Pooled, weights: NDArray[np.float32], name: str) -> str:
    """Add the terms of a mean: weight x feature / places, summed over the channels by a convolution."""
    scaled = _constant(graph, f"{name}weights", (weights / np.prod(part.places)).astype(np.float32))
    return _node(graph, "Conv", [part.features, scaled], f"{name}mean")


def _peak_terms(graph: onnx.GraphProto, part: _Pooled, weights: NDArray[np.float32], name: str) -> str:
    """Add the terms of a maximum: weight x maximum at its places, summed by a product of matrices, the fastest way."""
    height, width = part.places
    scaled = _constant(graph, f"{name}weights", weights)
    axes = _constant(graph, f"{name}axes", np.array([2, 3]))
    row = _constant(graph, f"{name}row", np.array([0, 1, part.channels]))
    flat = _constant(graph, f"{name}flat", np.array([0, part.channels, height * width]))
    square = _constant(graph, f"{name}square", np.array([0, 1, height, width]))
    _node(graph, "Equal", [part.features, part.values], f"{name}is_peak")
    _node(graph, "Cast", [f"{name}is_peak"], f"{name}peaks", to=TensorProto.FLOAT)
    _node(graph, "ReduceSum", [f"{name}peaks", axes], f"{name}count", keepdims=1)
    _node(graph, "Mul", [part.values, scaled], f"{name}weighted")
    _node(graph, "Div", [f"{name}weighted", f"{name}count"], f"{name}each")
    _node(graph, "Reshape", [f"{name}each", row], f"{name}each_row")
    _node(graph, "Reshape", [f"{name}peaks", flat], f"{name}peaks_flat")
    _node(graph, "MatMul", [f"{name}each_row", f"{name}peaks_flat"], f"{name}summed")
    return _node(graph, "Reshape", [f"{name}summed", square], f"{name}peak")


def _constant(graph: onnx.GraphProto, name: str, value: NDArray[np.generic] | np.generic) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def _node(graph: onnx.GraphProto, operator: str, inputs: Sequence[str], output: str, **attributes: int) -> str:
    node = helper.make_node(operator, list(inputs), [output], name=output)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    graph.node.append(node)
    return output


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {'names its activation' if add_activation(Path(name)) else 'ends otherwise; left as it was'}")
