"""A model file and labelled pictures -> what it says of each of them, under every condition."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanner.model import Detector, Region
from train.data import LABELS, Crops, Sample, crops
from train.degrade import CONDITIONS, conditions

BATCH = 64
# Pictures whose crops are held at a time: at 300 px, with two inputs and all conditions, they take 0.8 GB.
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of pictures.

    Attributes:
        samples: those that could be judged, (n,), in order.
        p_fake: by condition (`train.degrade.CONDITIONS`), (n,), with the four decimals that the scanner writes.
        faceless: samples in which no face was found.
        broken: samples that could not be decoded, or that the model gave no number for.
    """

    samples: tuple[Sample, ...]
    p_fake: dict[str, NDArray[np.float64]]
    faceless: tuple[Sample, ...]
    broken: tuple[Sample, ...]

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Labels, (n,)."""
        return np.array([sample.fake for sample in self.samples], bool)


def score(detector: Detector, samples: Sequence[Sample]) -> Scores:
    """Decode, change, crop and score the samples, some at a time: any number of them fits in memory."""
    changes = list(conditions(detector.card).values())
    chunks = (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))
    return score_crops(detector, (crops(chunk, detector.card, changes) for chunk in chunks))


def score_crops(detector: Detector, parts: Iterable[Crops]) -> Scores:
    """The same for crops that were made already, one region for each of `CONDITIONS`."""
    samples: list[Sample] = []
    faceless: list[Sample] = []
    broken: list[Sample] = []
    found = [np.empty((len(CONDITIONS), 0))]
    for seen in parts:
        values = np.stack([p_fake(detector, regions) for regions in seen.regions])
        judged = np.isfinite(values).all(axis=0)
        found.append(values[:, judged])
        samples += [sample for sample, number in zip(seen.samples, judged, strict=True) if number]
        broken += [sample for sample, number in zip(seen.samples, judged, strict=True) if not number]
        broken += seen.broken
        faceless += seen.faceless
    by_condition = dict(zip(CONDITIONS, np.concatenate(found, axis=1), strict=True))
    return Scores(tuple(samples), by_condition, tuple(faceless), tuple(broken))


def p_fake(detector: Detector, regions: Sequence[Region]) -> NDArray[np.float64]:
    """Probabilities, (n,), with the four decimals that the scanner writes."""
    size = detector.batch or BATCH
    parts = [np.empty(0)]
    for start in range(0, len(regions), size):
        batch = list(regions[start : start + size])
        # Some models take one number of pictures only.
        filled = batch + [batch[0]] * (size - len(batch)) if detector.batch else batch
        parts.append(detector.p_fake(filled)[: len(batch)])
    return np.round(np.concatenate(parts), 4)


def write_predictions(file: Path, scores: Scores) -> None:
    """As CSV: path, label, set, generator, and a column of p_fake for each condition."""
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(("path", "label", "set", "generator", *scores.p_fake))
        for sample, *values in zip(scores.samples, *scores.p_fake.values(), strict=True):
            writer.writerow((sample.path, LABELS[sample.fake], sample.set, sample.generator, *values))
