"""Cuts the crops of labelled pictures that a model gets, by the scanner's own code."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.detector.card import Card
from scanner.detector.model import Region, prepare
from scanner.detector.runtime import available_cpus
from scanner.errors import FacescanError
from scanner.faces.finder import FaceFinder, FoundFace
from scanner.imaging.crop import Box
from scanner.imaging.decode import Picture, decode
from train.data.samples import Sample

# Pixels of one split and input are held in memory up to this size, and in a temporary file beyond it.
MAX_BYTES_IN_MEMORY = 4 * 2**30

# Takes a picture and its face box, or None, and returns both changed: a condition of `train.data.degrade`.
Condition = Callable[[Picture, Box | None], tuple[Picture, Box | None]]


@dataclass(frozen=True, slots=True)
class Crops:
    """Holds the crops of samples, under one or several conditions.

    Attributes:
        samples: those with a crop, n in their original order.
        regions: for each condition one `Region` for each of `samples`: a uint8 (height, width, 3) array for each input
            of the model.
        faceless: samples in which no face was found.
        broken: samples that could not be read or decoded.
    """

    samples: tuple[Sample, ...]
    regions: tuple[tuple[Region, ...], ...]
    faceless: tuple[Sample, ...]
    broken: tuple[Sample, ...]

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Return the labels, (n,), True for fake."""
        return np.array([sample.fake for sample in self.samples], bool)


def crops(samples: Sequence[Sample], card: Card, conditions: Sequence[Condition] = ()) -> Crops:
    """Decode pictures, find the largest face of each, and crop it, all by the scanner's own code.

    Args:
        samples: in any order.
        card: of the model.
        conditions: changes of a picture before it is cropped; empty for one condition, as found.
    """
    finder = FaceFinder()
    conditions = conditions or (as_found,)
    arrays = [_allocate((len(conditions), len(samples), *spec.size, 3)) for spec in card.inputs]

    def crop(position: int) -> str:
        """Write the crops of one sample into the arrays; return what came of it."""
        try:
            picture = decode(samples[position].file.read_bytes()).picture
        except OSError:
            picture = None
        if picture is None:
            return "broken"
        box, turn = None, 0
        if card.source == "face":
            faces = finder.find(picture)
            if not faces:
                return "faceless"
            face = largest(faces)
            box, turn = face.box, face.turn
        for number, condition in enumerate(conditions):
            for array, pixels in zip(arrays, prepare(*condition(picture, box), card, turn=turn), strict=True):
                array[number, position] = pixels
        return "cropped"

    with ThreadPoolExecutor(available_cpus()) as pool:
        outcomes = list(pool.map(crop, range(len(samples))))

    def with_outcome(kind: str) -> tuple[Sample, ...]:
        return tuple(sample for sample, outcome in zip(samples, outcomes, strict=True) if outcome == kind)

    cropped = [i for i, outcome in enumerate(outcomes) if outcome == "cropped"]
    regions = tuple(
        tuple(tuple(array[number, i] for array in arrays) for i in cropped) for number in range(len(conditions))
    )
    return Crops(with_outcome("cropped"), regions, with_outcome("faceless"), with_outcome("broken"))


def largest(faces: Sequence[FoundFace]) -> FoundFace:
    """Return the face whose box has the largest area."""
    return max(faces, key=lambda face: face.box[2] * face.box[3])


def as_found(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
    """Return picture and box unchanged."""
    return picture, box


def _allocate(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Allocate an array in memory or, if it is large, in an unnamed file in the folder for temporary files.

    Raises:
        FacescanError: that folder has no room.
    """
    size = math.prod(shape)
    if size <= MAX_BYTES_IN_MEMORY:
        return np.empty(shape, np.uint8)
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up later would kill the process
                os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, np.uint8, "w+", shape=shape))
    except OSError as error:
        raise FacescanError(
            f"{tempfile.gettempdir()}: no room for {size / 1e9:.1f} GB of pixels ({error.strerror}): "
            "set TMPDIR to a folder that has it"
        ) from error
