"""Adds a second output to a vision transformer's ONNX file: what each patch adds to the log-odds of fake.

For networks that put the class token and the mean of the patch tokens side by side, normalise that vector (x) and end
in one dense layer. With the vector's own mean m and standard deviation s, the log-odds are

    sum over channels of  weight * (scale * (x - m) / s + shift)  + bias  =  sum of v * x / s + a constant,
    v = weight * scale, less its mean over the channels (which is what m takes off).

So they are a sum over tokens, exactly:

- a patch's part is what its own token adds to the mean: v (of the patches' half) * token / (s * patches);
- the class token has no place. Its part is shared out over the patches as its last attention, the mean over the heads,
  is: where it looked last;
- the constant is everybody's in equal parts.

By the last block a token knows of the whole picture, so a patch's part says where the network keeps what speaks for
fake, not which pixels would change the score if they were others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_PREFIX = "activation/"
_NORMALISATION = ("Add", "Mul", "Div", "Sub")  # from the dense layer upwards: shift, scale, / s, - m

Nodes = dict[str, onnx.NodeProto]
Values = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class TokenHead:
    """What the end of a transformer computes with.

    Attributes:
        tokens: name of the last block's outcome, (n, 1 + patches, width), the class token first.
        attention: name of the last block's attention, (n, heads, 1 + patches, 1 + patches).
        deviation: name of the normalisation's standard deviation, (n, 1).
        scale, shift: of the normalisation, (2 * width,).
        grid: rows and columns of patches.
    """

    tokens: str
    attention: str
    deviation: str
    scale: NDArray[np.float32]
    shift: NDArray[np.float32]
    grid: tuple[int, int]


def token_head(name: str, model: onnx.ModelProto, nodes: Nodes, values: Values) -> TokenHead | None:
    """Find the head in a graph, or None if the graph ends otherwise.

    Args:
        name: of the dense layer's input.
        model: whose output the dense layer gives.
        nodes: of the model, by the names of their outputs.
        values: its constants.
    """
    constants: list[NDArray[np.float32]] = []
    deviation = ""
    for operator in _NORMALISATION:
        node = nodes.get(name)
        if node is None or node.op_type != operator:
            return None
        if operator in ("Add", "Mul"):
            held = [entry for entry in node.input if entry in values]
            rest = [entry for entry in node.input if entry not in values]
            if len(held) != 1 or len(rest) != 1:
                return None
            constants.append(values[held[0]].ravel())
            name = rest[0]
        else:
            deviation = node.input[1] if operator == "Div" else deviation
            name = node.input[0]
    tokens = _pooled_tokens(nodes.get(name), nodes)
    attention = next((node.output[0] for node in reversed(model.graph.node) if node.op_type == "Softmax"), "")
    grid = _grid(model)
    if not tokens or not attention or grid is None:
        return None
    shift, scale = constants
    return TokenHead(tokens, attention, deviation, scale, shift, grid)


def add_token_parts(
    graph: onnx.GraphProto, head: TokenHead, weights: NDArray[np.float32], bias: float, output: str
) -> tuple[int, int]:
    """Add the nodes that compute each patch's part, in place; return rows and columns of patches.

    Args:
        graph: of the network.
        head: its end.
        weights: of the dense layer, for the log-odds of fake, (2 * width,).
        bias: the same layer's.
        output: the name to give to the outcome, (n, rows, columns).
    """
    rows, columns = head.grid
    patches = rows * columns
    direction = weights * head.scale
    direction = direction - direction.mean()
    of_class, of_patches = np.split(direction.astype(np.float32), 2)
    constant = (bias + float(weights @ head.shift)) / patches
    known = {
        "class": of_class[:, None],
        "patches": (of_patches / patches)[:, None],
        "share": np.float32(constant),
        "first": np.array([0]),
        "second": np.array([1]),
        "end": np.array([np.iinfo(np.int64).max]),
        "tokens_axis": np.array([1]),
        "grid": np.array([0, rows, columns]),
        "rows_axis": np.array([2]),
        "columns_axis": np.array([3]),
        "inner": np.array([2]),
    }
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), _PREFIX + key) for key, value in known.items())

    def add(operator: str, inputs: Iterable[str], result: str, **attributes: Any) -> str:
        inputs = [_PREFIX + entry if entry in known or entry in made else entry for entry in inputs]
        name = result if result == output else _PREFIX + result
        made.add(result)
        graph.node.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return result

    made: set[str] = set()
    # What the patches add by themselves, (n, patches).
    add("Slice", [head.tokens, "second", "end", "tokens_axis"], "patch_tokens")
    add("MatMul", ["patch_tokens", "patches"], "patch_parts")
    add("Squeeze", ["patch_parts", "inner"], "of_patches")
    # What the class token adds, (n, 1), and how it is shared out, (n, patches).
    add("Slice", [head.tokens, "first", "second", "tokens_axis"], "class_token")
    add("MatMul", ["class_token", "class"], "class_part")
    add("Squeeze", ["class_part", "inner"], "of_class")
    add("Slice", [head.attention, "first", "second", "rows_axis"], "looks_anywhere")
    add("Slice", ["looks_anywhere", "second", "end", "columns_axis"], "looks_of_heads")
    add("ReduceMean", ["looks_of_heads"], "looks", axes=[1, 2], keepdims=0)
    add("ReduceSum", ["looks", "tokens_axis"], "all_looks", keepdims=1)
    add("Div", ["looks", "all_looks"], "shares")
    add("Mul", ["of_class", "shares"], "of_class_shared")
    add("Add", ["of_patches", "of_class_shared"], "both")
    add("Div", ["both", head.deviation], "normalised")
    add("Add", ["normalised", "share"], "flat")
    add("Reshape", ["flat", "grid"], output)
    return rows, columns


def _pooled_tokens(node: onnx.NodeProto | None, nodes: Nodes) -> str:
    """Name the tokens that a concatenation of the class token and the patches' mean comes from; empty if it is none."""
    if node is None or node.op_type != "Concat" or len(node.input) != 2:
        return ""
    ends = []
    for name, wanted in zip(node.input, (("Squeeze", "Slice"), ("ReduceMean", "Slice")), strict=True):
        for operator in wanted:
            found = nodes.get(name)
            if found is None or found.op_type != operator:
                return ""
            name = found.input[0]
        ends.append(name)
    return ends[0] if ends[0] == ends[1] else ""


def _grid(model: onnx.ModelProto) -> tuple[int, int] | None:
    """Return rows and columns of the patches: of the only convolution's outcome."""
    convolutions = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    shapes = {tensor.name: [dim.dim_value for dim in tensor.type.tensor_type.shape.dim] for tensor in inferred}
    shape = shapes.get(convolutions[0], []) if len(convolutions) == 1 else []
    return (shape[2], shape[3]) if len(shape) == 4 and all(shape[2:]) else None
