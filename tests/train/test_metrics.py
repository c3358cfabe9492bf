from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.evaluation.metrics import (
    Confusion,
    auc,
    average_precision,
    confusion,
    expected_calibration_error,
    interval,
    reliability,
    roc_curve,
    tpr_at_fpr,
)

# Few distinct scores, so that there are ties within and between the classes.
scores = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), min_size=1, max_size=30)


def labelled(real: list[float], fake: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([False] * len(real) + [True] * len(fake)), np.array(real + fake)


@settings(deadline=None)  # the first call imports scikit-learn
@given(scores, scores)
def test_curve_area_and_average_precision_are_scikit_learns(real, fake):
    sklearn = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn, of the extra [train]")
    labels, both = labelled(real, fake)
    fpr, tpr, _ = sklearn.roc_curve(labels, both, drop_intermediate=False)
    assert np.array(roc_curve(labels, both)) == pytest.approx(np.array([fpr, tpr]))
    assert auc(labels, both) == pytest.approx(sklearn.roc_auc_score(labels, both))
    assert average_precision(labels, both) == pytest.approx(sklearn.average_precision_score(labels, both))


@given(scores, scores, st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0]))
def test_tpr_at_fpr_is_the_best_point_of_the_roc_curve(real, fake, rate):
    labels, both = labelled(real, fake)
    fpr, tpr = roc_curve(labels, both)
    assert tpr_at_fpr(labels, both, rate) == pytest.approx(max(tpr[fpr <= rate + 1e-9]))


@given(scores, scores)
def test_auc_counts_won_pairs_and_half_of_the_tied(real, fake):
    pairs = [(f > r) + (f == r) / 2 for f in fake for r in real]
    assert auc(*labelled(real, fake)) == pytest.approx(np.mean(pairs))


def test_a_perfect_order_has_full_marks_and_a_reversed_one_none():
    labels = np.array([False, False, True, True])
    assert auc(labels, np.arange(4.0)) == average_precision(labels, np.arange(4.0)) == 1
    assert auc(labels, -np.arange(4.0)) == 0


def test_one_example_by_hand():
    labels, both = labelled(real=[0.1, 0.4, 0.4], fake=[0.4, 0.8])
    fpr, tpr = roc_curve(labels, both)
    assert fpr == pytest.approx([0, 0, 2 / 3, 1])
    assert tpr == pytest.approx([0, 0.5, 1, 1])
    assert auc(labels, both) == pytest.approx((3 + 1 + 1 / 2 + 1 / 2) / 6)
    assert average_precision(labels, both) == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)


def test_a_model_that_says_the_same_of_all_is_chance():
    labels, both = labelled(real=[0.3] * 3, fake=[0.3])
    assert auc(labels, both) == 0.5
    assert average_precision(labels, both) == 0.25


def test_confusion_counts_fakes_as_positives():
    labels = np.array([True, True, True, False, False])
    found = confusion(labels, np.array([True, True, False, True, False]))
    assert found == Confusion(tp=2, fp=1, tn=1, fn=1)
    assert found.accuracy == 3 / 5
    assert found.precision == found.recall == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("found", "figures"),
    [
        (Confusion(tp=0, fp=0, tn=0, fn=0), (None, None, None, None)),
        (Confusion(tp=0, fp=0, tn=4, fn=0), (1, None, None, None)),
        (Confusion(tp=0, fp=0, tn=4, fn=4), (0.5, None, 0, 0)),
        (Confusion(tp=0, fp=4, tn=0, fn=0), (0, 0, None, 0)),
        (Confusion(tp=3, fp=1, tn=0, fn=0), (0.75, 0.75, 1, 6 / 7)),
    ],
)
def test_what_would_be_zero_by_zero_is_none(found, figures):
    assert (found.accuracy, found.precision, found.recall, found.f1) == figures


def test_ece_is_the_distance_between_promise_and_outcome():
    # Ten pictures at 0.85, of which six are fake; ten at 0.05, of which none is.
    p = np.array([0.85] * 10 + [0.05] * 10)
    labels = np.array([True] * 6 + [False] * 14)
    promised, found, number = reliability(labels, p)
    assert promised == pytest.approx([0.05, 0.85])
    assert found == pytest.approx([0, 0.6])
    assert number.tolist() == [10, 10]
    assert expected_calibration_error(labels, p) == pytest.approx(0.5 * 0.25 + 0.5 * 0.05)


def test_the_extremes_have_a_bin():
    promised, found, number = reliability(np.array([False, True]), np.array([0.0, 1.0]))
    assert promised.tolist() == found.tolist() == [0, 1]
    assert number.tolist() == [1, 1]


def test_ece_of_true_probabilities_is_small():
    random = np.random.default_rng(0)
    p = random.random(20_000)
    assert expected_calibration_error(random.random(20_000) < p, p) < 0.02


def test_interval_is_wilsons():
    """Figures of the method "wilson" of R's binom.confint."""
    low, high = interval(np.array([0, 5, 9, 10]), np.array([10, 10, 10, 10]))
    assert low == pytest.approx([0, 0.2366, 0.5958, 0.7225], abs=1e-4)
    assert high == pytest.approx([0.2775, 0.7634, 0.9821, 1], abs=1e-4)
