"""Calibrates logits: probabilities, thresholds for false-positive rates, and the uncertain band."""

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
# Share of wrong verdicts on either side of the uncertain band, at most, if half of the pictures are fake.
MAX_WRONG = 0.05
# Decimals of p_fake in rows. Thresholds have as many, so that they decide the same about written values.
DECIMALS = 4
# Standard deviation of calibrated log-odds, at least: orders pictures in four decimals, and is too small for verdicts.
MIN_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Holds a calibration found on pictures that the model was not trained on.

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
    wrong: float = MAX_WRONG,
) -> Calibration:
    """Fit Platt's sigmoid, then find thresholds and the uncertain band on its probabilities.

    The slope has a positive minimum. For a model that is no better than chance, a fit might find a negative slope,
    which would invert the model without making it better. With the minimum, pictures keep their order and the
    probabilities stay near the mean.

    Args:
        logits: (n,), of pictures that the model was not trained on.
        labels: (n,), True for fake; both classes.
        weights: (n,), of the pictures; both classes should have the same sum.
        fprs: false-positive rates of the operating points.
        wrong: allowed share of wrong verdicts on either side of the band.

    Raises:
        FacescanError: a class is missing.
    """
    if labels.all() or not labels.any():
        raise FacescanError("one class has no face to calibrate on: more pictures, or another seed")
    slope, offset = platt(logits, labels, weights)
    least = MIN_SPREAD / max(float(np.std(logits)), 1e-9)
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
    """Collect logits, labels and weights of crops under all their conditions, because users' pictures are re-saved.

    Args:
        detector: gives the logits.
        seen: crops that the detector was not trained on.
        trained_on: sets of the training pictures. Within each class, other sets have half of the weight.

    Returns:
        Logits, labels and weights, (conditions * crops,) each.
    """
    names = set(trained_on)
    known = np.array([bool(set_names([sample])[0] in names) for sample in seen.samples])
    weights = np.zeros(len(seen.samples))
    for fake in (False, True):
        in_class = seen.fake == fake
        parts = [in_class & known, in_class & ~known]
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
    """Fit a sigmoid to logits; return its slope and offset.

    Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his targets just short of 0 and 1, so that
    classes that do not overlap have a finite slope; minimised by Newton's method with step halving (Lin, Lin and Weng,
    "A Note on Platt's Probabilistic Outputs for Support Vector Machines", 2007).

    Args:
        logits: (n,).
        labels: (n,), True for fake.
        weights: (n,), of the pictures.
        steps: of Newton's method, at most.
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
    """Find the smallest threshold that at most a share of the real pictures reaches.

    Args:
        p_real: p_fake of the real pictures, (n,).
        weights: of these pictures, (n,).
        fpr: the share, by weight, 0..1.

    Returns:
        The threshold with four decimals.
    """
    written = np.round(p_real, DECIMALS)
    order = np.argsort(-written, kind="stable")
    passing = np.cumsum(weights[order]) / weights.sum()
    beyond = np.flatnonzero(passing > fpr + 1e-9)  # empty at a false-positive rate of 1
    return _next_above(written[order[beyond[0]]]) if len(beyond) else 0.0


def uncertain_band(
    p_fake: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64], wrong: float
) -> tuple[float, float]:
    """Find the band of p_fake in which no verdict is given.

    Args:
        p_fake: (n,).
        labels: (n,), True for fake.
        weights: (n,), of the pictures.
        wrong: allowed share, by weight, of fakes below the band, and of reals at or over its upper end.

    Returns:
        Low and high end. If no threshold keeps the shares, the band reaches to 0 or to 1; if one threshold keeps both,
        the band is empty.
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
