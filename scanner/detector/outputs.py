"""Reads what a model computed: its outputs as log-odds and probabilities of fake, and what in them is impossible."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.detector.card import Card

# How far the sum of an activation may be from the log-odds, in parts of them and at least: int8 rounds in between.
ACTIVATION_TOLERANCE = 0.1


def output_error(output: NDArray[Any], regions: int, card: Card) -> str:
    """Say what in a model's output cannot be what its card says; empty if all can.

    Args:
        output: of the model, (regions, columns), as ONNX Runtime returned it.
        regions: how many the model scored.
        card: of the model.
    """
    kind = card.output.kind
    if not len(output.shape) or len(output) != regions or output.size not in [n * regions for n in columns_of(kind)]:
        return f"the {kind} of {regions} regions has the shape {list(output.shape)}"
    if not np.isfinite(output).all():
        return "there are scores that are not a number, or infinite"
    if kind == "logit":
        return ""
    # Half a per cent: float16 and int8 round.
    if output.min() < -0.005 or output.max() > 1.005:
        return f"a {kind} gives values from {output.min():.4g} to {output.max():.4g}, which are no probabilities"
    if kind == "softmax" and abs(output.reshape(regions, -1).sum(axis=1) - 1).max() > 0.02:
        return "the columns of a softmax do not add up to 1"
    return ""


def activation_error(activation: NDArray[Any], logits: NDArray[np.float64]) -> str:
    """Say what in a model's activation (n, h, w) contradicts the log-odds of fake (n,) that it has to add up to."""
    if activation.ndim != 3 or len(activation) != len(logits) or not activation.size:
        return f"the activation of {len(logits)} regions has the shape {list(activation.shape)}"
    sums = activation.sum(axis=(1, 2), dtype=np.float64)
    sure = abs(logits) < 8  # beyond, a float32 sigmoid tells no log-odds
    off = abs(sums - logits)[sure] > ACTIVATION_TOLERANCE * (1 + abs(logits[sure]))
    if not np.isfinite(sums).all() or off.any():
        return f"the places of the activation add up to {sums[0]:.4g}, not to the log-odds of fake, {logits[0]:.4g}"
    return ""


def columns_of(kind: str) -> tuple[int, ...]:
    """Return the numbers of columns that an output of this kind may have."""
    return (2,) if kind == "softmax" else (1, 2)


def to_logits(output: NDArray[np.float64], card: Card) -> NDArray[np.float64]:
    """Turn a model's output (n, columns), as its card describes it, into log-odds of fake (n,)."""
    if card.output.kind == "logit":
        if output.shape[1] == 1:
            return output[:, 0] if card.fake == 1 else -output[:, 0]
        return output[:, card.fake] - output[:, 1 - card.fake]
    if output.shape[1] == 1:  # one column is the probability of label 1
        output = np.concatenate([1 - output, output], axis=1)
    p = output[:, card.fake]
    p = np.clip(p, 1e-7, 1 - 1e-7)  # a saturated float32 sigmoid has no logit
    return np.log(p) - np.log1p(-p)


def calibrate(logits: NDArray[np.float64], card: Card) -> NDArray[np.float64]:
    """Turn log-odds of fake (n,) into probabilities that hold on pictures the model was not trained on: Platt 1999."""
    slope, offset = card.calibration
    return sigmoid(slope * logits + offset)


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn log-odds into probabilities. Beyond 50, float64 has no room for the difference to 0 or 1."""
    return 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
