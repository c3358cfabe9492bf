"""Defines the result of one picture: the schema of every output."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 2
# Faces of a file that are judged, at most; further faces are only counted.
MAX_FACES = 300
# `means` of a provenance mark that names a generator.
GENERATED = "generated"


class Verdict(StrEnum):
    """Names the five possible outcomes for a file."""

    FAKE = "fake"
    REAL = "real"
    UNCERTAIN = "uncertain"
    NO_FACE = "no_face"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Face:
    """Holds one face (or, with ``region: image``, the whole picture) and its scores.

    Attributes:
        box: x, y, width, height in pixels of the upright picture.
        score: the face finder's confidence, 0..1.
        p_fake: calibrated probability of fake, 0..1, four decimals; None until scored.
        models: probability by model name; `p_fake` combines them.
        turn: degrees by which the face is turned clockwise in the picture, above -180 and up to 180; it was turned back
            before it was scored. 0 for faces that were scored as they are.
        frame: the frame or page that holds the face, counted from 0; `box` is in pixels of that frame.
        tight: whether the picture is cut so close to the face that a low `p_fake` means nothing.
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
    """Holds figures of Error Level Analysis: absolute differences to a re-compressed copy, in grey levels (0..255).

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
    """Holds one row. Fields that a failed file cannot have are None, and are written as empty cells.

    `reason` is a short machine word, with detail after a colon. For an error it is a `scanner.reasons.Reason`
    (``truncated``, ``unsupported_format:heic``). For other verdicts it names what decided (``face:0``, an index into
    `faces`, or ``image``), or why a low score is not ``real`` (``tight_crop``, ``too_many_faces:412``), or is empty.

    Attributes:
        provenance: what the file's metadata and coding say about its origin (`scanner.provenance`); None if the file is
            not a picture.
        baseline: whether a finding is in the baseline, the earlier output that known findings are taken from; None
            without a baseline.
        explanation: path of the sheet that explains the score, if one was asked for.
        frames: number of frames of an animation, or pages of a document: 1 for a still picture, None if the file is not
            a picture.
        frames_judged: number of frames that were judged.
        thumbnail: a small JPEG for reports, empty if there is none; no other output has it.
        cached: whether the row came from the cache; such rows are the same, and outputs do not tell them apart.
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
        """Return the names of the generators that the picture's metadata name; `generated` if they say so without
        a name.
        """
        if self.provenance is None or not is_marked(self.provenance):
            return ()
        return tuple(generators(self.provenance)) or (GENERATED,)

    @property
    def faces_judged(self) -> int | None:
        """Return how many faces have a score; None if faces are not looked for, or the file has no verdict."""
        return None if self.n_faces is None else sum(face.p_fake is not None for face in self.faces)

    @property
    def decisive_box(self) -> tuple[int, int, int, int] | None:
        """Return x, y, width, height of the face with the highest score; None without one."""
        judged = [face for face in self.faces if face.p_fake is not None]
        return max(judged, key=lambda face: face.p_fake or 0.0).box if judged else None


def decisive_face(result: Result) -> int | None:
    """Return the index of the face with the highest `p_fake`; None if no face was scored."""
    scored = [(face.p_fake, -number) for number, face in enumerate(result.faces) if face.p_fake is not None]
    return -max(scored)[1] if scored else None


def is_marked(provenance: Mapping[str, Any] | None) -> bool:
    """Return whether a picture's metadata say that a generator made it, wholly or in part."""
    return provenance is not None and any(mark["means"] == GENERATED for mark in provenance["marks"])


def generators(provenance: Mapping[str, Any]) -> list[str]:
    """Return the names of the generators that a picture's provenance marks name."""
    named = (mark["generator"] for mark in provenance["marks"] if mark["means"] == GENERATED)
    return list(dict.fromkeys(filter(None, named)))
