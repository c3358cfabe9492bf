"""Checks that the tensors of a graph are those that the model's card describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnxruntime as ort

from scanner.detector.card import Card, InputSpec
from scanner.detector.outputs import columns_of
from scanner.errors import FacescanError


def check_tensors(session: ort.InferenceSession, card: Card, file: str) -> dict[str, bool]:
    """Compare a card with its graph.

    Args:
        session: of the graph.
        card: of the model.
        file: its name, for messages.

    Returns:
        For the name of each input, whether it takes uint8; others take float32.

    Raises:
        FacescanError: they disagree.
    """
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    named = {spec.name for spec in card.inputs}
    if named != set(inputs):
        raise FacescanError(f"{file}: the card's inputs {sorted(named)} are not the graph's {sorted(inputs)}")
    _check_outputs({tensor.name: tensor for tensor in session.get_outputs()}, card, file)
    for spec in card.inputs:
        _check_input(inputs[spec.name], spec, file)
    return {name: tensor.type == "tensor(uint8)" for name, tensor in inputs.items()}


def _check_outputs(outputs: dict[str, Any], card: Card, file: str) -> None:
    """Check that a graph has the outputs of a card, and that they may be what the card says."""
    if card.output.name not in outputs:
        raise FacescanError(f"{file}: the card's output {card.output.name!r} is none of {sorted(outputs)}")
    if card.activation and card.activation not in outputs:
        raise FacescanError(f"{file}: the card's activation {card.activation!r} is none of {sorted(outputs)}")
    output, kind = outputs[card.output.name], card.output.kind
    if output.type not in ("tensor(float)", "tensor(double)", "tensor(float16)"):
        raise FacescanError(f"{file}: output {output.name} gives {output.type}, not floating-point numbers")
    columns = output.shape[-1] if len(output.shape) > 1 else 1
    if isinstance(columns, int) and columns not in columns_of(kind):
        raise FacescanError(f"{file}: a {kind} over two labels, but {columns} columns in {output.shape}")


def _check_input(tensor: Any, spec: InputSpec, file: str) -> None:
    """Check that an input of a graph takes pictures of the size and layout that its card says."""
    height, width = spec.size
    wanted = [height, width, 3] if spec.layout == "NHWC" else [3, height, width]
    if not _takes(tensor.shape, wanted) or tensor.type not in ("tensor(float)", "tensor(uint8)"):
        raise FacescanError(f"{file}: input {spec.name} takes {tensor.type} {tensor.shape}, the card {wanted}")


def _takes(shape: Sequence[int | str | None], wanted: Sequence[int]) -> bool:
    """Say whether a graph's shape (batch, ...) takes pictures of a shape; names and None stand for any number."""
    return len(shape) == 4 and all(
        not isinstance(side, int) or side == want for side, want in zip(shape[1:], wanted, strict=True)
    )
