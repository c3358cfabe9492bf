"""A picture between its examination and its final row: its row so far, and what evidence will be drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field

from scanner.detector.model import Region
from scanner.files.fingerprint import FileFingerprint
from scanner.imaging.decode import Picture
from scanner.result import Result


@dataclass(frozen=True, slots=True)
class View:
    """What a thumbnail is drawn on: a part of a picture, shrunk.

    Attributes:
        pixels: RGB uint8.
        left, top: of the part.
        scale: pixels here for one there.
    """

    pixels: Picture
    left: int
    top: int
    scale: float


@dataclass(slots=True)
class PendingEvidence:
    """Of a picture that is not scored yet, by the number of the frame.

    Attributes:
        named: asked for by itself.
        views: for the thumbnail, if there is to be one.
        pictures: for the sheet, if there is to be one.
    """

    named: bool
    views: dict[int, View] = field(default_factory=dict)
    pictures: dict[int, Picture] = field(default_factory=dict)


@dataclass(slots=True)
class Examined:
    """A picture on its way: the row as far as it is known.

    Attributes:
        result: final if there are neither regions nor scores.
        regions: what the model will see; one for each of the first faces of the result. Empty once they are scored.
        scores: calibrated probabilities of fake of the first faces of the result.
        seconds: spent by stage.
        fingerprint: of the file before it was read, if there is a cache to keep the row in; of an object behind a URL,
            when it was read.
        postponed: room that a picture takes which was left undecoded, in pixels of a plain one; 0 for all others.
        kept: what evidence will be made of once there are scores; None if none is wanted.
    """

    result: Result
    regions: list[Region] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    fingerprint: FileFingerprint | None = None
    postponed: int = 0
    kept: PendingEvidence | None = None
