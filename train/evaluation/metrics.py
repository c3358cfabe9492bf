"""Computes figures of merit of a detector with NumPy alone.

Labels are True for fake, scores grow with the likelihood of fake, and both have the shape (n,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015, use 10.
BINS = 10


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts pictures by label and by what they are called. A figure is None where it would be 0 / 0.

    Attributes:
        tp: fakes called fake.
        fp: reals called fake.
        tn: reals called real.
        fn: fakes called real.
    """

    tp: int
    fp: int
    tn: int
    fn: int

    @property
    def accuracy(self) -> float | None:
        """Return the share of the pictures that are called what they are."""
        return _share(self.tp + self.tn, self.tp + self.fp + self.tn + self.fn)

    @property
    def precision(self) -> float | None:
        """Return the share of fakes among the pictures called fake, which depends on the share of fakes among all."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Return the share of the fakes that are called fake: the true-positive rate."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """Return the harmonic mean of precision and recall; 0 if there are fakes and none is found."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def confusion(labels: NDArray[np.bool_], called_fake: NDArray[np.bool_]) -> Confusion:
    """Count pictures by their labels and by whether they are called fake."""
    return Confusion(
        tp=int((labels & called_fake).sum()),
        fp=int((~labels & called_fake).sum()),
        tn=int((~labels & ~called_fake).sum()),
        fn=int((labels & ~called_fake).sum()),
    )


def roc_curve(
    labels: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute false- and true-positive rates, both (m,), from (0, 0) to (1, 1), a point for each distinct score.

    Needs both classes.
    """
    fp, tp = _called_fake(labels, scores)
    return fp / fp[-1], tp / tp[-1]


def auc(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Compute the area under the ROC curve: how often a fake scores higher than a real picture, ties counting half.

    Needs both classes.
    """
    fp, tp = _called_fake(labels, scores)
    # A sum of trapezoids, in integers up to the division.
    return float((np.diff(fp) * (tp[1:] + tp[:-1])).sum() / (2 * fp[-1] * tp[-1]))


def average_precision(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Sum the precision at each distinct score, weighted by the growth of recall there: (R_n - R_(n-1)) P_n.

    There is no interpolation, as in scikit-learn. Depends on the share of fakes, unlike `auc`. Needs a fake.
    """
    fp, tp = _called_fake(labels, scores)
    precision = tp[1:] / (tp[1:] + fp[1:])
    return float((np.diff(tp) * precision).sum() / tp[-1])


def tpr_at_fpr(labels: NDArray[np.bool_], scores: NDArray[np.float64], fpr: float) -> float:
    """Find the largest true-positive rate of any threshold with at most this false-positive rate.

    Args:
        labels: of both classes.
        scores: of the pictures.
        fpr: 0..1.
    """
    real = np.sort(scores[~labels])[::-1]
    allowed = int(np.floor(fpr * len(real) + 1e-9))
    # At most `allowed` real pictures score higher than the next real one.
    threshold = real[allowed] if allowed < len(real) else -np.inf
    return float(np.mean(scores[labels] > threshold))


def reliability(
    labels: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = BINS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Compare p_fake with the share of fakes, in bins of equal width.

    Args:
        labels: of the pictures.
        p_fake: 0..1.
        bins: their number.

    Returns:
        Mean p_fake, share of fakes and number of pictures of each bin that is not empty.
    """
    bin_of = np.minimum((p_fake * bins).astype(int), bins - 1)
    number = np.bincount(bin_of, minlength=bins)
    used = number > 0
    promised = np.bincount(bin_of, p_fake, bins)[used] / number[used]
    found = np.bincount(bin_of, labels, bins)[used] / number[used]
    return promised, found, number[used]


def interval(part: NDArray[np.int64], whole: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return low and high ends of the 95 % confidence intervals of the shares `part / whole` (Wilson 1927)."""
    z = 1.96
    share = part / whole
    middle = (share + z**2 / (2 * whole)) / (1 + z**2 / whole)
    reach = z * np.sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2)) / (1 + z**2 / whole)
    return np.maximum(0, middle - reach), np.minimum(1, middle + reach)


def expected_calibration_error(labels: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = BINS) -> float:
    """Average the distance between mean p_fake and share of fakes over bins of equal width, by their pictures.

    Args:
        labels: of the pictures.
        p_fake: 0..1.
        bins: their number.
    """
    promised, found, number = reliability(labels, p_fake, bins)
    return float((number * abs(promised - found)).sum() / number.sum())


def _called_fake(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count reals and fakes at or over each distinct score, highest first, after a 0."""
    values, index = np.unique(-scores, return_inverse=True)
    by_value = [np.bincount(index[chosen], minlength=len(values)) for chosen in (~labels, labels)]
    fp, tp = (np.concatenate([[0], np.cumsum(counts)]).astype(np.int64) for counts in by_value)
    return fp, tp


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
