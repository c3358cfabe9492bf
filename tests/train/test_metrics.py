from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn", reason="needs scikit-learn, of the extra [train]")

from sklearn.metrics import roc_curve

from train.metrics import auc, average_precision, expected_calibration_error, tpr_at_fpr

scores = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), min_size=1, max_size=30)


@given(scores, scores, st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0]))
def test_tpr_at_fpr_is_the_best_point_of_the_roc_curve(real, fake, rate):
    labels = np.array([False] * len(real) + [True] * len(fake))
    both = np.array(real + fake)
    fpr, tpr, _ = roc_curve(labels, both, drop_intermediate=False)
    assert tpr_at_fpr(labels, both, rate) == pytest.approx(max(tpr[fpr <= rate + 1e-9]))


def test_a_perfect_order_has_full_marks_and_a_reversed_one_none():
    labels = np.array([False, False, True, True])
    assert auc(labels, np.arange(4.0)) == average_precision(labels, np.arange(4.0)) == 1
    assert auc(labels, -np.arange(4.0)) == 0


def test_ece_is_the_distance_between_promise_and_outcome():
    # Ten pictures at 0.85, of which six are fake; ten at 0.05, of which none is.
    p = np.array([0.85] * 10 + [0.05] * 10)
    labels = np.array([True] * 6 + [False] * 14)
    assert expected_calibration_error(labels, p) == pytest.approx(0.5 * 0.25 + 0.5 * 0.05)


def test_ece_of_true_probabilities_is_small():
    random = np.random.default_rng(0)
    p = random.random(20_000)
    assert expected_calibration_error(random.random(20_000) < p, p) < 0.02
