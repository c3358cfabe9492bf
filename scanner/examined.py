"""Holds a picture between its examination and its final row: the row so far, and what evidence will be drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field

from scanner.detector.model import Region
from scanner.files.fingerprint import FileFingerprint
from scanner.imaging.decode import Picture
from scanner.result import Result


@dataclass(frozen=True, slots=True)
class View:
    """A part of a picture, shrunk, that a thumbnail is drawn on.

    Attributes:
        pixels: RGB uint8 (height, width, 3).
        left, top: of the part, in pixels of the picture.
        scale: pixels of the view for each pixel of the picture, up to 1.
    """

    pixels: Picture
    left: int
    top: int
    scale: float


@dataclass(slots=True)
class PendingEvidence:
    """Pixels held until the picture's scores are known, and with them whether evidence is wanted.

    Attributes:
        named: whether the file was asked for by itself, not found in a folder or a list.
        views: for the thumbnail, by the number of the frame; empty if none is wanted.
        pictures: for the sheet, RGB uint8 (height, width, 3), by the number of the frame; empty if none is wanted.
    """

    named: bool
    views: dict[int, View] = field(default_factory=dict)
    pictures: dict[int, Picture] = field(default_factory=dict)


@dataclass(slots=True)
class Examined:
    """A picture whose row is not final yet.

    Attributes:
        result: the row so far; final if there are neither regions nor scores.
        regions: what the model will see; one for each of the first faces of the result. Empty once they are scored.
        scores: calibrated probabilities of fake, 0..1, of the first faces of the result.
        seconds: spent on the picture, by stage.
        fingerprint: of a local file before it was read, if there is a cache to store its row in; of an object behind a
            URL, when it was read.
        postponed: memory that decoding would take, in pixels of a plain picture, if the picture was left undecoded for
            that; 0 for all others.
        pending: what evidence will be made of once there are scores; None if none is wanted.
    """

    result: Result
    regions: list[Region] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    fingerprint: FileFingerprint | None = None
    postponed: int = 0
    pending: PendingEvidence | None = None
