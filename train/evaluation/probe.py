"""What can be told without looking at the face: logistic probes of the file, and of the framing.

A detector whose figures are no better than a probe's has learned how the files were saved, or how they were framed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scanner.detector.model import Region
from scanner.imaging.crop import shrink
from scanner.imaging.decode import Picture
from train.data.crops import Crops
from train.data.split import sampling_weights
from train.evaluation.metrics import auc

# Pixels: where head, hair and background are can be seen in so many, and nothing of what a generator leaves behind.
THUMBNAIL = 16
# Of the penalty: hundreds of pixels and hundreds of pictures.
THUMBNAIL_C = 0.001

Features = Callable[[Picture], NDArray[np.float64]]


def of_file(crop: Picture) -> NDArray[np.float64]:
    """RGB uint8 (height, width, 3) -> (7,): sharpness at three scales, saturation, greyness, blocking, contrast."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float64)
    sharpness = []
    level: NDArray[Any] = grey
    for _ in range(3):
        sharpness.append(np.log1p(cv2.Laplacian(level, cv2.CV_64F).var()))
        level = cv2.resize(level, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    spread = (crop.max(axis=2).astype(int) - crop.min(axis=2)).mean()
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    by_phase = np.array([steps[phase::8].mean() for phase in range(8)])
    return np.array([*sharpness, np.log1p(spread), spread < 2, by_phase.max() / (by_phase.mean() + 1e-6), grey.std()])


def of_framing(crop: Picture) -> NDArray[np.float64]:
    """RGB uint8 (height, width, 3) -> (256,): a grey thumbnail of 16 x 16 pixels."""
    small = shrink(crop, THUMBNAIL, THUMBNAIL)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64).ravel()


# Features and the inverse strength of the penalty, by name.
PROBES: dict[str, tuple[Features, float]] = {"file": (of_file, 1.0), "framing": (of_framing, THUMBNAIL_C)}


def probe_aucs(name: str, train: Crops, test: Crops) -> list[float]:
    """Areas under the ROC curve of a probe on the test crops, by condition; trained as the detector is.

    Args:
        name: one of `PROBES`.
        train: what the probe learns from, in its first condition.
        test: what it is measured on, of both classes.
    """
    features, strength = PROBES[name]
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    weights = sampling_weights(train.samples)
    probe.fit(
        _table(features, train.regions[0]),
        train.fake,
        # On average 1, for which the penalty is meant.
        logisticregression__sample_weight=weights / weights.mean(),
    )
    return [auc(test.fake, probe.decision_function(_table(features, regions))) for regions in test.regions]


def _table(features: Features, regions: Sequence[Region]) -> NDArray[np.float64]:
    return np.stack([features(region[0]) for region in regions])
