"""What can be told without looking at the face: a logistic probe of sharpness, greyness, contrast and blocking.

A detector whose figures are no better than the probe's has learned how the files were saved.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scanner.decode import Picture
from train.data import Crops, sampling_weights
from train.metrics import auc


def features(crop: Picture) -> NDArray[np.float64]:
    """RGB uint8 (height, width, 3) -> (7,): sharpness at three scales, saturation, greyness, blocking, contrast."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float64)
    sharpness = []
    level = grey
    for _ in range(3):
        sharpness.append(np.log1p(cv2.Laplacian(level, cv2.CV_64F).var()))
        level = cv2.resize(level, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    spread = (crop.max(axis=2).astype(int) - crop.min(axis=2)).mean()
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    by_phase = np.array([steps[phase::8].mean() for phase in range(8)])
    return np.array([*sharpness, np.log1p(spread), spread < 2, by_phase.max() / (by_phase.mean() + 1e-6), grey.std()])


def probe_auc(train: Crops, test: Crops, condition: int) -> float:
    """Area under the ROC curve of the probe on the test crops, trained as the detector is, on the same crops.

    Args:
        train: what the probe learns from, in its first condition.
        test: what it is measured on.
        condition: index of one of the test's conditions.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probe.fit(_table(train, 0), train.fake, logisticregression__sample_weight=sampling_weights(train.samples))
    return auc(test.fake, probe.decision_function(_table(test, condition)))


def _table(crops: Crops, condition: int) -> NDArray[np.float64]:
    return np.stack([features(region[0]) for region in crops.regions[condition]])
