"""What is known about one picture: the schema of every output."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 2
# Faces of a file that are judged, at most; more are only counted.
MAX_FACES = 300
# What a mark of provenance means that a generator left.
GENERATED = "generated"


class Verdict(StrEnum):
    """The five things that can be said of a candidate file."""

    FAKE = "fake"
    REAL = "real"
    UNCERTAIN = "uncertain"
    NO_FACE = "no_face"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Face:
    """One face (or, with ``region: image``, the whole picture) and what the models make of it.

    Attributes:
        box: x, y, width, height in pixels of the upright picture.
        score: the face finder's confidence, 0..1.
        p_fake: calibrated probability of fake, 0..1, four decimals; None until scored.
        models: probability by model name; `p_fake` is what they amount to.
        turn: degrees, over -180 and up to 180, by which the face is turned clockwise in the picture: it was turned back
            before it was judged. 0 of faces that were judged as they are.
        frame: the frame or page that the face is in, counted from 0; `box` is in pixels of that one.
        tight: the picture ends so near to the face that a low `p_fake` means nothing.
    """

    box: tuple[int, int, int, int]
    score: float
    p_fake: float | None = None
    models: dict[str, float] | None = None
    turn: int = 0
    frame: int = 0
    tight: bool = False


@dataclass(frozen=True, slots=True)
class Ela:
    """Error Level Analysis in figures: absolute differences to a re-compressed copy, in grey levels (0..255).

    `face` and `background` are means inside and outside the face boxes; None where there is no such pixel.
    """

    quality: int
    mean: float
    p95: float
    face: float | None
    background: float | None
    map: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One row. Fields that a failed file cannot have are None and are written as empty cells.

    `reason` is a short machine word, with detail after a colon. For an error it says why the file could not be
    judged (``truncated``, ``unsupported_format:heic``); for other verdicts it names what decided (``face:0``, an
    index into `faces`, or ``image``), or why a low score is no ``real`` (``tight_crop``, ``too_many_faces:412``), or
    is empty.

    `provenance` is what the file says of itself (`scanner.provenance`); None if it is no picture. `baseline` says, of a
    finding, whether it was one already in the output that it is held against; None if there is none. `explanation` is
    the path of a sheet that says why, if one was asked for. `frames` counts the frames of an animation, or the pages of
    a document: 1 for a still picture, None for what is no picture; `frames_judged`, those that were looked at.
    `thumbnail` is a small JPEG for reports, empty if there is none; no other output has it. `cached` rows came from the
    cache; they are the same rows, and no output says so.
    """

    path: str
    verdict: Verdict
    p_fake: float | None = None
    n_faces: int | None = None
    width: int | None = None
    height: int | None = None
    format: str = ""
    bytes: int | None = None
    sha256: str = ""
    reason: str = ""
    faces: tuple[Face, ...] = ()
    ela: Ela | None = None
    provenance: Mapping[str, Any] | None = None
    baseline: bool | None = None
    explanation: str | None = None
    frames: int | None = None
    frames_judged: int | None = None
    thumbnail: builtins.bytes = field(default=b"", compare=False, repr=False)
    cached: bool = field(default=False, compare=False)

    @property
    def marks(self) -> tuple[str, ...]:
        """Names of the generators that the picture's own metadata name; `generated` if they name none, but say so."""
        if self.provenance is None or not is_marked(self.provenance):
            return ()
        return tuple(generators(self.provenance)) or (GENERATED,)

    @property
    def faces_judged(self) -> int | None:
        """How many faces have a score of their own; None where no faces are looked for, or the file has no verdict."""
        return None if self.n_faces is None else sum(face.p_fake is not None for face in self.faces)

    @property
    def decisive_box(self) -> tuple[int, int, int, int] | None:
        """x, y, width, height of the face with the highest score; None without one."""
        judged = [face for face in self.faces if face.p_fake is not None]
        return max(judged, key=lambda face: face.p_fake or 0.0).box if judged else None


def decisive_face(result: Result) -> int | None:
    """Index of the face with the highest `p_fake`; None if none was judged."""
    scored = [(face.p_fake, -number) for number, face in enumerate(result.faces) if face.p_fake is not None]
    return -max(scored)[1] if scored else None


def is_marked(provenance: Mapping[str, Any] | None) -> bool:
    """Whether a picture says itself that a generator made it, wholly or in part."""
    return provenance is not None and any(mark["means"] == GENERATED for mark in provenance["marks"])


def generators(provenance: Mapping[str, Any]) -> list[str]:
    """Names of the generators whose marks a picture bears, as far as the marks tell them."""
    named = (mark["generator"] for mark in provenance["marks"] if mark["means"] == GENERATED)
    return list(dict.fromkeys(filter(None, named)))
