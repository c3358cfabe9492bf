"""Figures of merit of a detector, in NumPy alone. Labels are True for fake; scores grow with the likelihood of fake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015, use 10.
BINS = 10


@dataclass(frozen=True, slots=True)
class Confusion:
    """Pictures by label and by what they are called. A figure is None where it would be 0 / 0.

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
        """Share of the pictures that are called what they are."""
        return _share(self.tp + self.tn, self.tp + self.fp + self.tn + self.fn)

    @property
    def precision(self) -> float | None:
        """Share of fakes among what is called fake. Depends on how many of the pictures are fake."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of the fakes that is called fake: the true-positive rate."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; 0 where fakes are there and none is found."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def confusion(labels: NDArray[np.bool_], called_fake: NDArray[np.bool_]) -> Confusion:
    """Count the pictures, (n,) and (n,)."""
    return Confusion(
        tp=int((labels & called_fake).sum()),
        fp=int((~labels & called_fake).sum()),
        tn=int((~labels & ~called_fake).sum()),
        fn=int((labels & ~called_fake).sum()),
    )


def roc_curve(
    labels: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False- and true-positive rates, both (m,), from (0, 0) to (1, 1): one point for each distinct score.

    Needs both classes.
    """
    fp, tp = _called_fake(labels, scores)
    return fp / fp[-1], tp / tp[-1]


def auc(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Area under the ROC curve: how often a fake picture scores higher than a real one; a tie is half of a win.

    Needs both classes.
    """
    fp, tp = _called_fake(labels, scores)
    # Trapezoids, in whole numbers but for the last step.
    return float((np.diff(fp) * (tp[1:] + tp[:-1])).sum() / (2 * fp[-1] * tp[-1]))


def average_precision(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Precision at each distinct score, weighed by how much recall grows there: the sum of (R_n - R_(n-1)) P_n.

    No interpolation, as in scikit-learn. Depends on the share of fakes, unlike `auc`. Needs a fake.
    """
    fp, tp = _called_fake(labels, scores)
    precision = tp[1:] / (tp[1:] + fp[1:])
    return float((np.diff(tp) * precision).sum() / tp[-1])


def tpr_at_fpr(labels: NDArray[np.bool_], scores: NDArray[np.float64], fpr: float) -> float:
    """The largest true-positive rate that a threshold reaches at no more than this false-positive rate."""
    real = np.sort(scores[~labels])[::-1]
    allowed = int(np.floor(fpr * len(real) + 1e-9))
    # All that is passed by `allowed` reals at most scores higher than the next of them.
    bar = real[allowed] if allowed < len(real) else -np.inf
    return float(np.mean(scores[labels] > bar))


def reliability(
    labels: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = BINS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """What was promised and what was found: mean p_fake, share of fakes and number of pictures, by bin.

    Bins have equal width; empty ones are left out.
    """
    bin_of = np.minimum((p_fake * bins).astype(int), bins - 1)
    number = np.bincount(bin_of, minlength=bins)
    used = number > 0
    promised = np.bincount(bin_of, p_fake, bins)[used] / number[used]
    found = np.bincount(bin_of, labels, bins)[used] / number[used]
    return promised, found, number[used]


def interval(part: NDArray[np.int64], whole: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a share lies, with 95 % confidence, of which `part` of `whole` were seen: low, high (Wilson 1927)."""
    z = 1.96
    share = part / whole
    middle = (share + z**2 / (2 * whole)) / (1 + z**2 / whole)
    reach = z * np.sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2)) / (1 + z**2 / whole)
    return np.maximum(0, middle - reach), np.minimum(1, middle + reach)


def expected_calibration_error(labels: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = BINS) -> float:
    """Mean distance, over bins of equal width, between the p_fake promised and the share of fakes found."""
    promised, found, number = reliability(labels, p_fake, bins)
    return float((number * abs(promised - found)).sum() / number.sum())


def _called_fake(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Reals and fakes at or over each distinct score, highest first, after a 0."""
    values, index = np.unique(-scores, return_inverse=True)
    by_value = [np.bincount(index[chosen], minlength=len(values)) for chosen in (~labels, labels)]
    fp, tp = (np.concatenate([[0], np.cumsum(counts)]).astype(np.int64) for counts in by_value)
    return fp, tp


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
