from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.errors import FacescanError
from train.evaluation.calibrate import calibrate_on, platt, threshold_at, uncertain_band

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=80).map(np.array)


def test_platt_recovers_a_known_calibration():
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, 50_000)
    labels = random.random(50_000) < 1 / (1 + np.exp(-(0.7 * logits - 0.4)))
    assert platt(logits, labels, np.ones(50_000)) == pytest.approx((0.7, -0.4), abs=0.03)


def test_platt_stays_finite_where_the_classes_do_not_overlap():
    logits = np.array([-40.0, -30.0, 30.0, 40.0])
    slope, offset = platt(logits, logits > 0, np.ones(4))
    assert 0 < slope < 1
    assert offset == pytest.approx(0, abs=1e-6)


def test_a_weight_counts_like_copies():
    random = np.random.default_rng(1)
    logits = random.normal(size=2000)
    labels = random.random(2000) < 1 / (1 + np.exp(-logits))
    weights = random.integers(1, 4, 2000)
    copied = platt(np.repeat(logits, weights), np.repeat(labels, weights), np.ones(weights.sum()))
    assert platt(logits, labels, weights.astype(float)) == pytest.approx(copied, abs=0.01)


@given(p_values, st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0]))
def test_no_more_reals_pass_a_threshold_than_its_rate_allows(p_real, fpr):
    threshold = threshold_at(p_real, np.ones(len(p_real)), fpr)
    passing = np.mean(np.round(p_real, 4) >= threshold)
    assert passing <= fpr + 1e-9 or threshold == 1.0  # nothing lies above 1
    looser = np.mean(np.round(p_real, 4) >= threshold - 1.5e-4)
    assert threshold == 0 or looser > fpr  # and no lower threshold would do
    assert threshold == round(threshold, 4)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80), st.sampled_from([0.0, 0.05, 0.2]))
def test_verdicts_outside_the_band_keep_their_promise(pictures, wrong):
    p = np.array([p for p, _ in pictures])
    labels = np.array([fake for _, fake in pictures])
    low, high = uncertain_band(p, labels, np.ones(len(p)), wrong)
    written = np.round(p, 4)
    assert 0 <= low <= high <= 1
    for among, mistaken in ((written >= high, ~labels), (written < low, labels)):
        inside = mistaken[among]
        # Where the band ends at 0 or 1 there may be no room for the promise.
        assert not len(inside) or high == 1.0 or low == high or inside.mean() <= wrong + 1e-9


def test_the_operating_points_rise_as_their_rates_fall():
    random = np.random.default_rng(2)
    labels = random.random(5000) < 0.5
    logits = random.normal(np.where(labels, 1.5, -1.5), 1.5)
    found = calibrate_on(logits, labels, np.ones(5000))
    assert list(found.operating_points) == ["0.05", "0.01", "0.005"]
    assert list(found.operating_points.values()) == sorted(found.operating_points.values())
    assert found.uncertain[0] < found.uncertain[1]
    assert not found.by_chance


@pytest.mark.parametrize("slope", [-3.0, 0.0, 0.0001])
def test_a_model_that_has_learned_nothing_is_not_turned_round(slope):
    random = np.random.default_rng(3)
    logits = random.normal(5, 2, 4000)
    labels = random.random(4000) < 1 / (1 + np.exp(-slope * (logits - 5)))
    found = calibrate_on(logits, labels, np.ones(4000))
    p_fake = np.round(1 / (1 + np.exp(-(found.calibration[0] * logits + found.calibration[1]))), 4)
    assert found.by_chance
    assert np.all(np.diff(p_fake[np.argsort(logits)]) >= 0)
    assert len(np.unique(p_fake)) > 500
    assert p_fake.mean() == pytest.approx(labels.mean(), abs=0.01)
    assert np.ptp(p_fake) < 0.25


def test_one_class_cannot_be_calibrated():
    with pytest.raises(FacescanError, match="one class"):
        calibrate_on(np.zeros(3), np.ones(3, bool), np.ones(3))
