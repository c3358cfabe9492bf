"""Picture -> faces, by YuNet run through ONNX Runtime.

YuNet: Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023).
It has no anchors: every cell of three grids (8, 16 and 32 pixels wide) says whether a face has its centre there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.crop import shrink_fast
from scanner.decode import Picture
from scanner.result import Face
from scanner.runtime import cpu_session

MODEL = Path(__file__).parent / "models" / "yunet.onnx"
STRIDES = (8, 16, 32)
# Long sides, in pixels, at which a picture is searched in turn.
SIZES = (320, 640, 1280)
# A cell that scores lower is no face. At 0.6, 94 % of bare faces are found, and none in 120 faceless pictures.
MIN_SCORE = 0.6
# Boxes that overlap more than this (intersection over union) are one face; the original's value.
NMS_IOU = 0.3


class FaceFinder:
    """Owns the YuNet session. `find` may be called from several threads at once."""

    def __init__(self, model: Path = MODEL) -> None:
        self._model = model
        self._session = cpu_session(model.read_bytes(), threads=1)
        self._outputs = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox")]

    def __reduce__(self) -> tuple[type[FaceFinder], tuple[Path]]:
        return FaceFinder, (self._model,)  # sessions cannot be sent to another process

    def find(self, picture: Picture, sizes: Sequence[int] = SIZES, min_score: float = MIN_SCORE) -> tuple[Face, ...]:
        """Search at the first of `sizes`, and at the next ones only while nothing is found.

        A face that fills a large picture is only found in a small copy of it, and a small face only in a large one.

        Args:
            picture: RGB uint8 (height, width, 3).
            sizes: long sides, in pixels, to shrink the picture to; it is never enlarged.
            min_score: cells that score lower are no face.

        Returns:
            The faces, best score first, boxes in pixels of `picture` and inside it.
        """
        long_side = max(picture.shape[:2])
        for i, size in enumerate(sizes):
            if i > 0 and sizes[i - 1] >= long_side:
                break  # a larger size would only show the same pixels again
            faces = self._find_at(picture, min(1.0, size / long_side), min_score)
            if faces:
                return faces
        return ()

    def _find_at(self, picture: Picture, scale: float, min_score: float) -> tuple[Face, ...]:
        height, width = picture.shape[:2]
        small_h, small_w = max(1, round(height * scale)), max(1, round(width * scale))
        small = picture
        if (small_h, small_w) != (height, width):
            small = shrink_fast(picture, small_w, small_h)
        # The grids want multiples of 32; padding to the next one also bounds the number of different shapes.
        padded_h, padded_w = -small_h % 32 + small_h, -small_w % 32 + small_w
        blob = np.zeros((1, 3, padded_h, padded_w), np.float32)
        for i, channel in enumerate(cv2.split(small)):
            blob[0, 2 - i, :small_h, :small_w] = channel  # YuNet was trained on BGR, 0..255
        outputs = dict(zip(self._outputs, self._session.run(self._outputs, {"input": blob}), strict=True))
        boxes, scores = _decode(outputs, padded_w, min_score)
        boxes *= np.array([width / small_w, height / small_h] * 2, np.float32)
        return _to_faces(boxes, scores, width, height, min_score)


def _decode(
    outputs: dict[str, NDArray[np.float32]], padded_width: int, min_score: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The network's grids -> boxes (n, 4) as x, y, w, h in pixels of its input, and scores (n,)."""
    all_boxes, all_scores = [], []
    for stride in STRIDES:
        score = np.sqrt(np.clip(outputs[f"cls_{stride}"][0, :, 0] * outputs[f"obj_{stride}"][0, :, 0], 0, 1))
        cells = np.flatnonzero(score >= min_score)
        row, column = np.divmod(cells, padded_width // stride)
        offset = outputs[f"bbox_{stride}"][0, cells]
        centre = (np.stack([column, row], axis=1) + offset[:, :2]) * stride
        size = np.exp(offset[:, 2:]) * stride
        all_boxes.append(np.concatenate([centre - size / 2, size], axis=1).astype(np.float32))
        all_scores.append(score[cells])
    return np.concatenate(all_boxes), np.concatenate(all_scores)


def _to_faces(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], width: int, height: int, min_score: float
) -> tuple[Face, ...]:
    """Non-maximum suppression, then whole pixels inside the picture."""
    faces = []
    for i in cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), min_score, NMS_IOU):
        x, y, w, h = boxes[i]
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = min(width, round(x + w)), min(height, round(y + h))
        if right > left and bottom > top:
            faces.append(Face((left, top, right - left, bottom - top), round(float(scores[i]), 4)))
    return tuple(faces)
