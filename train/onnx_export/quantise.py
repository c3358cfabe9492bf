"""Makes smaller ONNX files of a detector.

int8: convolutions and dense layers compute in bytes, with ranges measured on training pictures. fp16: weights are
stored in 16 bits, and the computation is in 32 bits.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from scanner.detector.card import Card
from scanner.detector.model import Detector, Region, normalise
from train.onnx_export.activation import with_activation, without_activation
from train.onnx_export.card import save

# Regions in a batch when the ranges of the activations are measured.
BATCH = 16
# Operators that are quantised. The last one and all that follows stay fp32: 256 steps are too few for a score.
LAYERS = ("Conv", "Gemm", "MatMul")


def quantise(file: Path, out: Path, regions: Sequence[Region]) -> None:
    """Write the int8 version of an exported detector.

    The quantisation is static, with pairs of QuantizeLinear and DequantizeLinear, and weights by channel, of 7
    bits: with 8, sums of two products overflow 16 bits on processors without VNNI, and a MobileNet's AUC fell by 0.028
    instead of 0.003. Ranges are the minimum and maximum; percentiles and entropy gave the same AUC in six times the
    time.

    The logits change: the new file must be calibrated. Its card has no metrics, and `training.precision` is `int8`.

    Args:
        file: with fp32 inputs.
        out: to write; an earlier file is replaced only if the scanner accepts the new one.
        regions: crops of training pictures, on which the ranges of the activations are measured.

    Raises:
        FacescanError: the scanner refuses one of the two files.
    """
    card = Detector(file).card
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        scoring, prepared, draft = (Path(folder) / name for name in ("scoring.onnx", "prepared.onnx", out.name))
        onnx.save_model(without_activation(onnx.load_model(file), card), scoring)
        with _quiet():
            # The shapes that ONNX itself infers will do; symbolic ones would need SymPy.
            quant_pre_process(str(scoring), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(draft),
                _Feeds(card, regions),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                nodes_to_exclude=_head(onnx.load_model(prepared)),
            )
        graph = onnx.load_model(draft)
        used = {node.domain for node in graph.graph.node}
        versions = [opset for opset in graph.opset_import if opset.domain in used]
        del graph.opset_import[:]  # the optimiser lists every domain that it knows
        graph.opset_import.extend(versions)
        save(*with_activation(graph, with_precision(card, "int8")), draft)
        Detector(draft)
        os.replace(draft, out)


def halve(file: Path, out: Path) -> None:
    """Write a version of an exported detector with weights in 16 bits, but for those of its last layer.

    ONNX Runtime converts them to 32 bits when it opens the file: it has half the size and the same speed.

    The logits change a little: the new file must be calibrated. Its card has no metrics, and `training.precision` is
    `fp16`.

    Args:
        file: with fp32 weights.
        out: to write; an earlier file is replaced only if the scanner accepts the new one.

    Raises:
        FacescanError: the scanner refuses one of the two files.
    """
    card = Detector(file).card
    model = without_activation(onnx.load_model(file), card)
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    last = next((node for node in reversed(graph.node) if node.op_type in LAYERS), None)
    layers = [node for node in graph.node if node.op_type in LAYERS and node is not last]
    casts = []
    for name in sorted({name for node in layers for name in node.input[1:2] if name in stored}):
        with np.errstate(over="ignore"):
            halved = numpy_helper.to_array(stored[name]).astype(np.float16)
        if np.isfinite(halved).all():
            stored[name].CopyFrom(numpy_helper.from_array(halved, f"{name}/fp16"))
            casts.append(helper.make_node("Cast", [f"{name}/fp16"], [name], name=f"{name}/fp32", to=TensorProto.FLOAT))
    nodes = [*casts, *(onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        draft = Path(folder) / out.name
        save(*with_activation(model, with_precision(card, "fp16")), draft)
        Detector(draft)
        os.replace(draft, out)


def with_precision(card: Card, precision: str) -> Card:
    """Return the card without metrics, and with the precision among the facts about the training."""
    training = card.training if isinstance(card.training, dict) or card.training is None else {"fp32": card.training}
    return replace(card, training=(training or {}) | {"precision": precision}, metrics=None)


def _head(graph: onnx.ModelProto) -> list[str]:
    """Return the names of the last layer and of the nodes after it; nodes are in the order of computation."""
    nodes = graph.graph.node
    last = max((i for i, node in enumerate(nodes) if node.op_type in LAYERS), default=len(nodes))
    return [node.name for node in nodes[last:]]


class _Feeds(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no type stubs
    """Yields batches of inputs to the quantiser, normalised as the scanner does."""

    def __init__(self, card: Card, regions: Sequence[Region]) -> None:
        self._feeds = self._batches(card, regions)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)

    @staticmethod
    def _batches(card: Card, regions: Sequence[Region]) -> Iterator[dict[str, NDArray[Any]]]:
        for start in range(0, len(regions), BATCH):
            batch = regions[start : start + BATCH]
            yield {
                spec.name: normalise(np.stack([region[i] for region in batch]), spec)
                for i, spec in enumerate(card.inputs)
            }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantiser, which prints, and logs to the root logger and so to standard error."""
    silence = logging.NullHandler()
    logging.getLogger().addHandler(silence)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.getLogger().removeHandler(silence)
