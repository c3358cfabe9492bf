"""Make tiny ONNX detectors with cards, of every input, output and preprocessing that a card can describe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = (12, 16)  # height, width; not a square, so that exchanging them fails


def input_card(content: str = "picture", **fields: Any) -> dict[str, Any]:
    """Return one input of a card, named after its content; `fields` replace or add some."""
    return {"name": content, "content": content, "size": SIZE, "layout": "NHWC", "color": "RGB"} | fields


def card(kind: str = "sigmoid", inputs: Sequence[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a complete card, as plain values; `fields` replace or add some."""
    return {
        "schema": 1,
        "name": "tiny",
        "version": "1",
        "task": "general",
        "labels": ["real", "fake"],
        "fake": 1,
        "inputs": [input_card()] if inputs is None else list(inputs),
        "output": {"name": "score", "kind": kind},
        "source": "image",
        "calibration": [1.0, 0.0],
        "operating_points": {"0.01": 0.9, "0.1": 0.5},
        "uncertain": [0.4, 0.6],
    } | fields


def metadata(values: dict[str, Any]) -> dict[str, str]:
    """Return a card as the metadata of an ONNX file."""
    return {f"facescan.{key}": json.dumps(value) for key, value in values.items()}


def write_model(
    path: Path,
    *,
    kind: str = "sigmoid",
    columns: int = 1,
    inputs: Sequence[dict[str, Any]] | None = None,
    dtype: str = "float",
    logit: float | None = None,
    graph_size: Sequence[int | str] | None = None,
    without: Sequence[str] = (),
    **fields: Any,
) -> Path:
    """Write a detector that gives every value of its inputs another weight.

    Args:
        path: of the file to write.
        kind: `logit`, `sigmoid` or `softmax`: how the graph ends, and what the card says.
        columns: of the output.
        inputs: made by `input_card`; one picture if None.
        dtype: `float` or `uint8`: what the graph takes; of bytes it divides by 255.
        logit: output for every picture; None for one that depends on the picture.
        graph_size: height and width of the graph's inputs; None for those of the card.
        without: keys left out of the card.
        fields: of the card.
    """
    values = card(kind, inputs, **fields)
    random = np.random.default_rng(0)
    nodes, tensors, weights, parts = [], [], [], []
    for spec in values["inputs"]:
        name, (height, width) = spec["name"], spec["size"]
        sides = list(graph_size or (height, width))
        shape = ["n", *sides, 3] if spec["layout"] == "NHWC" else ["n", 3, *sides]
        element = TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT
        tensors.append(helper.make_tensor_value_info(name, element, shape))
        if dtype == "uint8":
            weights.append(numpy_helper.from_array(np.float32(1 / 255), f"{name}_scale"))
            nodes += [
                helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [f"{name}_unit"]),
            ]
            name = f"{name}_unit"
        count = height * width * 3
        spread = 0.0 if logit is not None else 4 / np.sqrt(count)
        weights.append(
            numpy_helper.from_array(random.normal(0, spread, (count, columns)).astype(np.float32), f"{name}_w")
        )
        nodes += [
            helper.make_node("Flatten", [name], [f"{name}_flat"], axis=1),
            helper.make_node("MatMul", [f"{name}_flat", f"{name}_w"], [f"{name}_part"]),
        ]
        parts.append(f"{name}_part")
    # For two columns, the second one is half the logit and the first one minus half of it.
    says = 0.0 if logit is None else logit
    bias = np.array([says] if columns == 1 else [-says / 2, says / 2] + [0.0] * (columns - 2), np.float32)
    weights.append(numpy_helper.from_array(bias, "bias"))
    end = {"logit": "Identity", "sigmoid": "Sigmoid", "softmax": "Softmax"}[kind]
    nodes += [helper.make_node("Sum", [*parts, "bias"], ["logits"]), helper.make_node(end, ["logits"], ["score"])]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", columns])
    graph = helper.make_graph(nodes, "tiny", tensors, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata({key: value for key, value in values.items() if key not in without}))
    onnx.save(model, path)
    return path


SPOTS = 32  # pixels a side


def write_spots(
    path: Path,
    *,
    kind: str = "logit",
    columns: int = 1,
    fake: int = 1,
    pools: Sequence[str] = ("GlobalAveragePool", "GlobalMaxPool"),
    ela: bool = False,
    batch: int | str = "n",
    bias: float = -1.0,
    linear: bool = True,
) -> Path:
    """Write a detector of spots: red ones speak for fake, green ones for real. It looks at places of 4 x 4 pixels.

    Args:
        path: of the file to write.
        kind: `logit`, `sigmoid` or `softmax`.
        columns: of the output.
        fake: index of the fake class.
        pools: operators, side by side, over the 8 x 8 places.
        ela: also take the Error Level Analysis map, and see the same in it.
        batch: how many it takes.
        bias: of the log-odds of fake.
        linear: False puts a nonlinear layer before the last one.
    """
    names = ["picture", "ela"] if ela else ["picture"]
    specs = [input_card(name, size=(SPOTS, SPOTS), range=(0.0, 1.0)) for name in names]
    colours = np.array([[1, -1, 0], [-1, 1, 0]], np.float32).reshape(2, 3, 1, 1)
    towards = np.array([4.0, -4.0] * len(pools), np.float32)
    sign = 1 if fake == 1 else -1
    weights = sign * (towards[:, None] if columns == 1 else np.stack([-towards / 2, towards / 2], axis=1))
    biases = sign * np.array([bias] if columns == 1 else [-bias / 2, bias / 2], np.float32)
    values = {"colours": colours, "weights": weights.astype(np.float32), "biases": biases}
    nodes = [helper.make_node("Transpose", [name], [f"{name}_first"], perm=[0, 3, 1, 2]) for name in names]
    nodes += [
        helper.make_node("Sum", [f"{name}_first" for name in names], ["first"]),
        helper.make_node("Conv", ["first", "colours"], ["opponent"]),
        helper.make_node("AveragePool", ["opponent"], ["places"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Relu", ["places"], ["features"]),
        *(helper.make_node(pool, ["features"], [f"pool_{i}"]) for i, pool in enumerate(pools)),
        *(helper.make_node("Flatten", [f"pool_{i}"], [f"flat_{i}"], axis=1) for i in range(len(pools))),
        helper.make_node("Concat", [f"flat_{i}" for i in range(len(pools))], ["pooled"], axis=1),
        helper.make_node("Identity" if linear else "Tanh", ["pooled"], ["seen"]),
        helper.make_node("MatMul", ["seen", "weights"], ["product"]),
        helper.make_node("Add", ["product", "biases"], ["logits"]),
        helper.make_node(
            {"logit": "Identity", "sigmoid": "Sigmoid", "softmax": "Softmax"}[kind], ["logits"], ["score"]
        ),
    ]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, SPOTS, SPOTS, 3]) for name in names]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, [batch, columns])
    weighty = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "spots", tensors, [output], weighty)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    labels = ["real", "fake"] if fake == 1 else ["fake", "real"]
    helper.set_model_props(model, metadata(card(kind, specs, name="spots", labels=labels, fake=fake)))
    onnx.save(model, path)
    return path
