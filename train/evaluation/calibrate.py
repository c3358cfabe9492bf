"""Logits -> probabilities that hold, thresholds for false-positive rates, and the band in which no verdict is given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.detector.model import Detector
from scanner.detector.outputs import sigmoid
from scanner.errors import FacescanError
from train.data.crops import Crops
from train.data.index import set_names
from train.data.split import sampling_weights
from train.evaluation.score import BATCH

FPRS = (0.05, 0.01, 0.005)
# At most this share of the verdicts on either side of the band should be wrong, half of the pictures being fake.
WRONG = 0.05
# p_fake is written with four decimals; a threshold with as many decides the same on what is written.
DECIMALS = 4
# Least standard deviation of calibrated log-odds: enough to tell pictures apart in four decimals, too little for a
# verdict.
SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is found on pictures that the model has not been trained on.

    Attributes:
        calibration, operating_points, uncertain: the fields of the card.
        by_chance: whether the model is no better than chance on these pictures.
    """

    calibration: tuple[float, float]
    operating_points: dict[str, float]
    uncertain: tuple[float, float]
    by_chance: bool = False


def calibrate_on(
    logits: NDArray[np.float64],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
    fprs: Sequence[float] = FPRS,
    wrong: float = WRONG,
) -> Calibration:
    """Platt's sigmoid, then thresholds and the uncertain band on its probabilities.

    The slope is never negative, nor next to nothing: a model that does no better than chance here may well be turned
    round by a fit, but not made better. Its pictures keep their order, and its probabilities stay near the mean.

    Args:
        logits: (n,), of pictures that the model has not been trained on.
        labels: (n,), True for fake; both classes.
        weights: (n,), of the pictures; both classes should weigh the same.
        fprs: false-positive rates of the operating points.
        wrong: share of wrong verdicts to allow on either side of the band.
    """
    if labels.all() or not labels.any():
        raise FacescanError("one class has no face to calibrate on: more pictures, or another seed")
    slope, offset = platt(logits, labels, weights)
    least = SPREAD / max(float(np.std(logits)), 1e-9)
    by_chance = slope < least
    if by_chance:
        share = float(weights[labels].sum() / weights.sum())
        slope, offset = least, math.log(share / (1 - share)) - least * float(np.average(logits, weights=weights))
    p_fake = sigmoid(slope * logits + offset)
    points = {str(fpr): threshold_at(p_fake[~labels], weights[~labels], fpr) for fpr in fprs}
    return Calibration((slope, offset), points, uncertain_band(p_fake, labels, weights, wrong), by_chance)


def calibration_scores(
    detector: Detector, seen: Crops, trained_on: Iterable[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Logits, labels and weights over all conditions: pictures come re-saved. Sets never trained on weigh a half."""
    names = set(trained_on)
    known = np.array([bool(set_names([sample])[0] in names) for sample in seen.samples])
    weights = np.zeros(len(seen.samples))
    for fake in (False, True):
        own = seen.fake == fake
        parts = [own & known, own & ~known]
        parts = [part for part in parts if part.any()]
        for part in parts:
            within = sampling_weights([s for s, chosen in zip(seen.samples, part, strict=True) if chosen])
            weights[part] = 0.5 * within / within.sum() / len(parts)
    scores = [detector.logits(regions, BATCH) for regions in seen.regions]
    copies = len(seen.regions)
    return np.concatenate(scores), np.tile(seen.fake, copies), np.tile(weights, copies)


def platt(
    logits: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64], steps: int = 100
) -> tuple[float, float]:
    """Slope and offset of the sigmoid that fits best.

    Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his targets just short of 0 and 1, so that
    classes that do not overlap have a finite slope; minimised by Newton's method with step halving (Lin, Lin and Weng,
    "A Note on Platt's Probabilistic Outputs for Support Vector Machines", 2007).
    """
    fakes, reals = int(labels.sum()), int((~labels).sum())
    targets = np.where(labels, (fakes + 1) / (fakes + 2), 1 / (reals + 2))
    weights = weights / weights.mean()
    inputs = np.stack([logits, np.ones_like(logits)], axis=1)

    def loss(parameters: NDArray[np.float64]) -> float:
        z = inputs @ parameters
        return float(weights @ (np.logaddexp(0, z) - targets * z))

    parameters = np.array([0.0, 0.0])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-inputs @ parameters))
        gradient = inputs.T @ (weights * (p - targets))
        hessian = inputs.T @ (inputs * (weights * p * (1 - p))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-6 and loss(parameters - size * step) > loss(parameters):
            size /= 2
        parameters = parameters - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    return float(parameters[0]), float(parameters[1])


def threshold_at(p_real: NDArray[np.float64], weights: NDArray[np.float64], fpr: float) -> float:
    """The smallest threshold (four decimals) that at most a share `fpr` of the real pictures, by weight, reaches."""
    written = np.round(p_real, DECIMALS)
    order = np.argsort(-written, kind="stable")
    passing = np.cumsum(weights[order]) / weights.sum()
    beyond = np.flatnonzero(passing > fpr + 1e-9)  # empty at a rate of 1
    return _next_above(written[order[beyond[0]]]) if len(beyond) else 0.0


def uncertain_band(
    p_fake: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64], wrong: float
) -> tuple[float, float]:
    """Low and high: of what lies below low, and of what lies from high up, at most a share `wrong` is wrong.

    Where no threshold keeps that promise the band reaches to 0 or to 1; where one threshold keeps both, it is empty.
    """
    written = np.round(p_fake, DECIMALS)
    edges = np.unique(np.concatenate([[0.0, 1.0], written]))
    high = next((float(t) for t in edges if _share(~labels, weights, written >= t) <= wrong), 1.0)
    low = next((float(t) for t in edges[::-1] if _share(labels, weights, written < t) <= wrong), 0.0)
    return min(low, high), high


def _share(wrong: NDArray[np.bool_], weights: NDArray[np.float64], among: NDArray[np.bool_]) -> float:
    total = weights[among].sum()
    return float(weights[among & wrong].sum() / total) if total else 0.0


def _next_above(written: float) -> float:
    return min(1.0, (math.floor(written * 10.0**DECIMALS + 0.5) + 1) / 10.0**DECIMALS)
