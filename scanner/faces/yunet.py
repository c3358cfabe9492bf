"""Runs the face finder's network, YuNet: from pixels to boxes, scores and five points of each face.

YuNet: Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023).
It has no anchors: every cell of three grids (8, 16 and 32 pixels wide) says whether a face has its centre there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.detector.runtime import cpu_session
from scanner.imaging.decode import Picture

MODEL = Path(__file__).parents[1] / "models" / "yunet.onnx"
STRIDES = (8, 16, 32)
# Boxes that overlap more than this (intersection over union) are one face; the original's value.
NMS_IOU = 0.3
_KINDS = ("cls", "obj", "bbox", "kps")
_OUTPUTS = [f"{kind}_{stride}" for stride in STRIDES for kind in _KINDS]


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces in one picture, the best score first.

    Attributes:
        boxes: (n, 4) float32: x, y, width, height in pixels; they may reach beyond the picture.
        scores: (n,) float32, 0..1.
        points: (n, 5, 2) float32: x, y of the eye on the left of the picture, the other eye, the nose, and the corners
            of the mouth, likewise.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    points: NDArray[np.float32]


class YuNet:
    """Owns the session. `detect` may be called from several threads at once."""

    def __init__(self, model: Path = MODEL) -> None:
        self._model = model
        self.session: Any = cpu_session(model.read_bytes(), threads=1)

    def __reduce__(self) -> tuple[type[YuNet], tuple[Path]]:
        return YuNet, (self._model,)  # sessions cannot be sent to another process

    def detect(self, pictures: Sequence[Picture], min_score: float) -> list[Detections]:
        """Find faces in pictures of one size, without resizing them.

        Args:
            pictures: RGB uint8 (height, width, 3), all of the same height and width.
            min_score: cells that score lower are no face.
        """
        height, width = pictures[0].shape[:2]
        # The grids want multiples of 32; padding to the next one also bounds the number of different shapes.
        padded_h, padded_w = -height % 32 + height, -width % 32 + width
        blob = np.zeros((len(pictures), 3, padded_h, padded_w), np.float32)
        for number, picture in enumerate(pictures):
            for i, channel in enumerate(cv2.split(picture)):
                blob[number, 2 - i, :height, :width] = channel  # YuNet was trained on BGR, 0..255
        outputs = self.session.run(_OUTPUTS, {"input": blob})
        kinds = [np.concatenate(outputs[first :: len(_KINDS)], axis=1) for first in range(len(_KINDS))]
        places, strides = _cells(padded_w, padded_h)
        scores = np.sqrt(np.clip(kinds[0][:, :, 0] * kinds[1][:, :, 0], 0, 1))
        found = []
        for number, score in enumerate(scores):
            cells = np.flatnonzero(score >= min_score)
            place, stride = places[cells], strides[cells]
            offset = kinds[2][number, cells]
            size = np.exp(offset[:, 2:]) * stride
            boxes = np.concatenate([(place + offset[:, :2]) * stride - size / 2, size], axis=1)
            points = (kinds[3][number, cells].reshape(-1, 5, 2) + place[:, None]) * stride[:, None]
            found.append(_suppressed(Detections(boxes, score[cells], points), min_score))
        return found


@lru_cache(maxsize=64)
def _cells(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row (n, 2), and stride (n, 1), of every cell of the three grids."""
    places, strides = [], []
    for stride in STRIDES:
        rows, columns = np.divmod(np.arange(width // stride * (height // stride)), width // stride)
        places.append(np.stack([columns, rows], axis=1))
        strides.append(np.full((len(rows), 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _suppressed(seen: Detections, min_score: float) -> Detections:
    """One face for each place (non-maximum suppression), the best score first."""
    if len(seen.scores) < 2:
        return seen
    kept = [*cv2.dnn.NMSBoxes(seen.boxes.tolist(), seen.scores.tolist(), min_score, NMS_IOU)]
    return Detections(seen.boxes[kept], seen.scores[kept], seen.points[kept])
