"""Scores labelled pictures with a model file, under every condition."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanner.detector.model import Detector, Region, prepare
from scanner.detector.runtime import available_cpus
from scanner.faces.finder import FaceFinder
from scanner.imaging.decode import decode
from scanner.settings import MIN_FACE
from train.data.crops import Crops, crops
from train.data.degrade import CONDITIONS, conditions
from train.data.samples import LABELS, Sample

BATCH = 64
# Pictures whose crops are in memory at a time: at 300 px, with two inputs and all conditions, they take 0.8 GB.
CHUNK = 256
# The same for models of faces, of which one picture may have thirty.
FACES_CHUNK = 32


@dataclass(frozen=True, slots=True)
class Scores:
    """Holds a model's scores of pictures.

    Attributes:
        samples: those with a score, n in their original order.
        p_fake: by condition (`train.data.degrade.CONDITIONS`), (n,), with the four decimals that the scanner writes.
        faceless: samples in which no face was found.
        broken: samples that could not be decoded, or whose score is no finite number.
    """

    samples: tuple[Sample, ...]
    p_fake: dict[str, NDArray[np.float64]]
    faceless: tuple[Sample, ...]
    broken: tuple[Sample, ...]

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Return the labels, (n,), True for fake."""
        return np.array([sample.fake for sample in self.samples], bool)


def score(detector: Detector, samples: Sequence[Sample]) -> Scores:
    """Decode, change, crop and score samples, in chunks, so that any number of them fits in memory.

    A picture is scored as in a scan: a model of faces scores all faces that are large enough, and the highest score
    counts.
    """
    if detector.card.source == "face":
        return _score_all_faces(detector, samples)
    changes = list(conditions(detector.card).values())
    chunks = (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))
    return score_crops(detector, (crops(chunk, detector.card, changes) for chunk in chunks))


def score_crops(detector: Detector, parts: Iterable[Crops]) -> Scores:
    """Score crops that are made already.

    Args:
        detector: the model.
        parts: crops with one region for each of `CONDITIONS`.
    """
    samples: list[Sample] = []
    faceless: list[Sample] = []
    broken: list[Sample] = []
    found = [np.empty((len(CONDITIONS), 0))]
    for part in parts:
        values = np.stack([p_fake(detector, regions) for regions in part.regions])
        judged = np.asarray(np.isfinite(values).all(axis=0), bool)
        found.append(values[:, judged])
        samples += [sample for sample, number in zip(part.samples, judged, strict=True) if number]
        broken += [sample for sample, number in zip(part.samples, judged, strict=True) if not number]
        broken += part.broken
        faceless += part.faceless
    by_condition = dict(zip(CONDITIONS, np.concatenate(found, axis=1), strict=True))
    return Scores(tuple(samples), by_condition, tuple(faceless), tuple(broken))


def _score_all_faces(detector: Detector, samples: Sequence[Sample]) -> Scores:
    finder, changes = FaceFinder(), list(conditions(detector.card).values())

    def look(sample: Sample) -> list[tuple[Region, ...]] | None:
        """Cut for each face its region under each condition; return None for a broken picture."""
        try:
            picture = decode(sample.file.read_bytes()).picture
        except OSError:
            return None
        if picture is None:
            return None
        boxes = [face.box for face in finder.find(picture) if min(face.box[2:]) >= MIN_FACE]
        return [tuple(prepare(*change(picture, box), detector.card) for change in changes) for box in boxes]

    judged: list[Sample] = []
    faceless: list[Sample] = []
    broken: list[Sample] = []
    found = [np.empty((len(CONDITIONS), 0))]
    with ThreadPoolExecutor(available_cpus()) as pool:
        for start in range(0, len(samples), FACES_CHUNK):
            chunk = samples[start : start + FACES_CHUNK]
            looked = list(pool.map(look, chunk))
            by_condition = zip(*(face for faces in looked for face in faces or ()), strict=True)
            scores = np.array([p_fake(detector, regions) for regions in by_condition])
            first = 0
            for sample, faces in zip(chunk, looked, strict=True):
                if not faces:
                    (broken if faces is None else faceless).append(sample)
                    continue
                highest = scores[:, first : first + len(faces)].max(axis=1, keepdims=True)
                first += len(faces)
                if np.isfinite(highest).all():
                    judged.append(sample)
                    found.append(highest)
                else:
                    broken.append(sample)
    values = dict(zip(CONDITIONS, np.concatenate(found, axis=1), strict=True))
    return Scores(tuple(judged), values, tuple(faceless), tuple(broken))


def p_fake(detector: Detector, regions: Sequence[Region]) -> NDArray[np.float64]:
    """Probabilities, (n,), with the four decimals that the scanner writes."""
    return np.round(detector.p_fake(regions, BATCH), 4)


def write_predictions(file: Path, scores: Scores) -> None:
    """Write a CSV with path, label, set, generator, and a column of p_fake for each condition."""
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(("path", "label", "set", "generator", *scores.p_fake))
        for sample, *values in zip(scores.samples, *scores.p_fake.values(), strict=True):
            writer.writerow((sample.path, LABELS[sample.fake], sample.set, sample.generator, *values))
