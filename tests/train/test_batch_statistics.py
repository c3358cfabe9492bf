from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras

from train.fitting.batch_statistics import remeasure_statistics


def network(momentum: float) -> keras.Model:
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(momentum=momentum, name="norm"), keras.layers.Dense(1)]
    )


BATCHES = [(np.random.default_rng(i).normal(5 + i, 2, (16, 3)).astype(np.float32), None) for i in range(4)]


def test_after_a_short_run_the_statistics_are_the_mean_over_the_batches():
    model = network(0.99)
    assert remeasure_statistics(model, lambda: BATCHES, steps=100)
    norm = model.get_layer("norm")
    assert norm.moving_mean.numpy() == pytest.approx(np.mean([x.mean(axis=0) for x, _ in BATCHES], axis=0), rel=1e-4)
    assert norm.moving_variance.numpy() == pytest.approx(np.mean([x.var(axis=0) for x, _ in BATCHES], axis=0), rel=1e-4)
    assert norm.momentum == 0.99


@pytest.mark.parametrize(("momentum", "steps", "anew"), [(0.99, 499, True), (0.99, 500, False), (0.9, 50, False)])
def test_after_a_long_run_they_stay(momentum, steps, anew):
    model = network(momentum)
    assert remeasure_statistics(model, lambda: BATCHES, steps) == anew


def test_frozen_statistics_stay():
    model = network(0.99)
    model.get_layer("norm").trainable = False
    assert not remeasure_statistics(model, lambda: BATCHES, steps=1)
