"""Figures of merit of a detector. Labels are True for fake; scores grow with the likelihood of fake."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

# Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015, use 10.
BINS = 10


def auc(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Area under the ROC curve: how often a fake picture scores higher than a real one. Needs both classes."""
    return float(roc_auc_score(labels, scores))


def average_precision(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Mean precision over the recalls. Depends on the share of fakes, unlike `auc`."""
    return float(average_precision_score(labels, scores))


def tpr_at_fpr(labels: NDArray[np.bool_], scores: NDArray[np.float64], fpr: float) -> float:
    """The largest true-positive rate that a threshold reaches at no more than this false-positive rate."""
    real = np.sort(scores[~labels])[::-1]
    allowed = int(np.floor(fpr * len(real) + 1e-9))
    # All that is passed by `allowed` reals at most scores higher than the next of them.
    bar = real[allowed] if allowed < len(real) else -np.inf
    return float(np.mean(scores[labels] > bar))


def expected_calibration_error(labels: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = BINS) -> float:
    """Mean distance, over bins of equal width, between the p_fake promised and the share of fakes found."""
    bin_of = np.minimum((p_fake * bins).astype(int), bins - 1)
    gaps = [
        np.mean(bin_of == i) * abs(p_fake[bin_of == i].mean() - labels[bin_of == i].mean())
        for i in range(bins)
        if (bin_of == i).any()
    ]
    return float(sum(gaps))
