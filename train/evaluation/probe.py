"""Measures how far real and fake pictures differ without looking at the face, by logistic probes.

One probe sees how the file was saved, the other how the picture is framed. A detector whose figures are no better than
a probe's may have learned just that.
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

# Side of the grey thumbnail in pixels: coarse enough to hide generator artefacts, fine enough to show the framing.
THUMBNAIL_SIDE = 16
# Inverse strength of the L2 penalty (scikit-learn's C): 256 features of a few hundred pictures overfit with 1.0.
THUMBNAIL_C = 0.001

Features = Callable[[Picture], NDArray[np.float64]]


def file_features(crop: Picture) -> NDArray[np.float64]:
    """Compute sharpness at three scales, saturation, greyness, blocking and contrast of a crop.

    Args:
        crop: RGB uint8, (height, width, 3).

    Returns:
        (7,).
    """
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


def framing_features(crop: Picture) -> NDArray[np.float64]:
    """Shrink a crop, RGB uint8 (height, width, 3), to a grey thumbnail of 16 x 16 pixels, (256,)."""
    small = shrink(crop, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64).ravel()


# Features and inverse strength of the penalty of each probe.
PROBES: dict[str, tuple[Features, float]] = {"file": (file_features, 1.0), "framing": (framing_features, THUMBNAIL_C)}


def probe_aucs(name: str, train: Crops, test: Crops) -> list[float]:
    """Train a probe and measure it on the test crops.

    Args:
        name: a key of `PROBES`.
        train: crops to learn from, under their first condition, drawn by the same weights as for a detector.
        test: crops of both classes to measure it on.

    Returns:
        The area under the ROC curve for each condition of the test crops.
    """
    features, strength = PROBES[name]
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    weights = sampling_weights(train.samples)
    probe.fit(
        _table(features, train.regions[0]),
        train.fake,
        # Scaled to a mean of 1, because the penalty is relative to their sum.
        logisticregression__sample_weight=weights / weights.mean(),
    )
    return [auc(test.fake, probe.decision_function(_table(features, regions))) for regions in test.regions]


def _table(features: Features, regions: Sequence[Region]) -> NDArray[np.float64]:
    return np.stack([features(region[0]) for region in regions])
