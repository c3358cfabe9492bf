"""Finds the worst mistakes of an evaluation and reports both classes, as an error analysis does first."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from scanner.imaging.crop import shrink
from scanner.imaging.decode import decode
from train.data.degrade import FAIR
from train.data.samples import LABELS, Sample
from train.evaluation.figures import Evaluation
from train.evaluation.metrics import Confusion

# Number of mistakes of each kind that are shown.
MAX_MISTAKES = 12
# Longer side of their thumbnails in pixels, at most.
THUMBNAIL_SIDE = 120


@dataclass(frozen=True, slots=True)
class Mistake:
    """Describes one picture on the wrong side of the threshold.

    Attributes:
        path: as written in the index.
        maker: generator and set, or source of a photograph.
        p_fake: of the picture.
        thumbnail: a JPEG as a data URI; empty if the file can no longer be read.
    """

    path: str
    maker: str
    p_fake: float
    thumbnail: str


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Holds the figures of one class at the evaluation's threshold; None where a figure would be 0 / 0."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    pictures: int


def worst_mistakes(evaluation: Evaluation) -> Mapping[str, list[Mistake]]:
    """Find the reals with the highest and the fakes with the lowest p_fake beyond the threshold, worst first."""
    labels, p_fake = evaluation.scores.fake, evaluation.scores.p_fake[FAIR]
    wrong = (p_fake >= evaluation.threshold) != labels
    found = {}
    for fake, kind in ((False, "reals called fake"), (True, "fakes called real")):
        positions = np.flatnonzero(wrong & (labels == fake))
        order = positions[np.argsort(p_fake[positions] * (1 if fake else -1), kind="stable")][:MAX_MISTAKES]
        found[kind] = [_mistake(evaluation.scores.samples[i], float(p_fake[i])) for i in order]
    return found


def class_reports(found: Confusion) -> list[ClassReport]:
    """Compute precision, recall, F1 and number of pictures of both classes, fakes first."""
    turned = Confusion(tp=found.tn, fp=found.fn, tn=found.tp, fn=found.fp)
    return [
        ClassReport(LABELS[fake], each.precision, each.recall, each.f1, each.tp + each.fn)
        for fake, each in ((True, found), (False, turned))
    ]


def _mistake(sample: Sample, p_fake: float) -> Mistake:
    try:
        picture = decode(sample.file.read_bytes()).picture
    except OSError:
        picture = None
    thumbnail = ""
    if picture is not None:
        height, width = picture.shape[:2]
        factor = min(1.0, THUMBNAIL_SIDE / max(height, width))
        small = shrink(picture, max(1, round(width * factor)), max(1, round(height * factor)))
        content = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
        thumbnail = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
    return Mistake(sample.path, sample.maker, p_fake, thumbnail)
