"""Cuts out what a model sees of labelled pictures, by the scanner's own code."""

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

# Bytes of pixels of one split and input up to which they are kept in memory.
IN_MEMORY = 4 * 2**30

# (picture, face box or None) -> the same, changed: a condition of `train.data.degrade`.
Condition = Callable[[Picture, Box | None], tuple[Picture, Box | None]]


@dataclass(frozen=True, slots=True)
class Crops:
    """What a model sees of the samples.

    Attributes:
        samples: those that show a face, in order.
        regions: by condition, one `Region` for each of `samples`.
        faceless: samples in which no face was found.
        broken: samples that could not be read or decoded.
    """

    samples: tuple[Sample, ...]
    regions: tuple[tuple[Region, ...], ...]
    faceless: tuple[Sample, ...]
    broken: tuple[Sample, ...]

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Labels, (n,)."""
        return np.array([sample.fake for sample in self.samples], bool)


def crops(samples: Sequence[Sample], card: Card, conditions: Sequence[Condition] = ()) -> Crops:
    """Decode, find the largest face and crop, all by the scanner's own code.

    Args:
        samples: in any order.
        card: of the model that is to see them.
        conditions: what to do to a picture first; none means once, as found.
    """
    finder = FaceFinder()
    ways = conditions or (_as_found,)
    rooms = [_room((len(ways), len(samples), *spec.size, 3)) for spec in card.inputs]

    def look(position: int) -> str:
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
        for way, condition in enumerate(ways):
            for room, pixels in zip(rooms, prepare(*condition(picture, box), card, turn=turn), strict=True):
                room[way, position] = pixels
        return "seen"

    with ThreadPoolExecutor(available_cpus()) as pool:
        outcomes = list(pool.map(look, range(len(samples))))

    def those(kind: str) -> tuple[Sample, ...]:
        return tuple(sample for sample, outcome in zip(samples, outcomes, strict=True) if outcome == kind)

    seen = [i for i, outcome in enumerate(outcomes) if outcome == "seen"]
    regions = tuple(tuple(tuple(room[way, i] for room in rooms) for i in seen) for way in range(len(ways)))
    return Crops(those("seen"), regions, those("faceless"), those("broken"))


def largest(faces: Sequence[FoundFace]) -> FoundFace:
    """The face whose box has the largest area."""
    return max(faces, key=lambda face: face.box[2] * face.box[3])


def _room(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Room for pixels: in memory or, if they are many, in a file without a name in the folder for temporary files."""
    size = math.prod(shape)
    if size <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up later kills the process
                os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, np.uint8, "w+", shape=shape))
    except OSError as error:
        raise FacescanError(
            f"{tempfile.gettempdir()}: no room for {size / 1e9:.1f} GB of pixels ({error.strerror}): "
            "set TMPDIR to a folder that has it"
        ) from error


def _as_found(picture: Picture, box: Box | None) -> tuple[Picture, Box | None]:
    return picture, box
