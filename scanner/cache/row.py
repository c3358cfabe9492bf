"""Converts rows to the cache's text and back, with checksums, and refuses text that no scan can have written.

A byte of the cache that was changed, by a bad disk or a bug, may cost time but never give a wrong row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from scanner.result import Ela, Face, Result, Verdict

# Bytes. A row takes about 500; longer rows (thousands of faces) are not stored, so that reading stays cheap.
MAX_ROW_BYTES = 2**20
_CHECKSUM_BYTES = 16
_MAX_GREY_LEVEL = 255
_VERDICTS = frozenset(Verdict)
_SCORED, _NOT_SCORED = {Verdict.FAKE, Verdict.REAL}, {Verdict.NO_FACE, Verdict.ERROR}
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_probability(value: Any) -> bool:
    """Return whether a value can be a probability or a confidence, 0..1."""
    return type(value) in (int, float) and 0 <= value <= 1


def _is_level(value: Any) -> bool:
    """Return whether a value can be a difference in grey levels, 0..255."""
    return type(value) in (int, float) and 0 <= value <= _MAX_GREY_LEVEL


# Fields of a row that depend on the content, and a check of their values; every field may also be None.
_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "verdict": lambda value: type(value) is str and value in _VERDICTS,
    "p_fake": _is_probability,
    "n_faces": _is_count,
    "width": _is_count,
    "height": _is_count,
    "format": _is_text,
    "bytes": _is_count,
    "reason": _is_text,
    "frames": _is_count,
    "frames_judged": _is_count,
}
# Keys of a provenance mark that code relies on.
_MARK_TEXTS = ("kind", "where", "value", "means")


class _InvalidRowError(ValueError):
    """Says that no scan writes such a row."""


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and infinities, which Python's JSON accepts and no row has."""
    raise _InvalidRowError


_decoder = json.JSONDecoder(parse_constant=_refuse)


def scope_key(decisive: str) -> bytes:
    """Return the key for the checksums of a scope's rows: a row that is found under another scope does not match.

    Args:
        decisive: everything besides the content that decides what a row says, as text.
    """
    return hashlib.blake2b(decisive.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def row_checksum(key: bytes, sha256: bytes, text: bytes) -> bytes:
    """Return the checksum of a row.

    Args:
        key: of the row's scope (`scope_key`).
        sha256: hash of the row's content.
        text: the row.
    """
    return hashlib.blake2b(sha256 + text, digest_size=_CHECKSUM_BYTES, key=key, person=b"row").digest()


def file_checksum(path: bytes, state: bytes, sha256: bytes) -> bytes:
    """Return the checksum of an entry that says which content a file had.

    Args:
        path: `path_hash` of the file's fingerprint.
        state: `state_hash` of the file's fingerprint.
        sha256: hash of the file's content.
    """
    return hashlib.blake2b(path + state + sha256, digest_size=_CHECKSUM_BYTES, person=b"file").digest()


def to_text(result: Result, limits: Sequence[int] = ()) -> bytes:
    """Return the cacheable part of a row as JSON. The verdict of a score is stored but decided again when the row is
    read.

    Args:
        result: the row.
        limits: of time and memory, if the row depends on them as well.
    """
    row: dict[str, Any] = {name: value for name in _FIELDS if (value := getattr(result, name)) is not None}
    row["faces"] = [
        (face.box, face.score, face.p_fake, face.models, face.turn, face.frame, face.tight) for face in result.faces
    ]
    if (ela := result.ela) is not None:  # without the map, whose path depends on the run
        row["ela"] = (ela.quality, ela.mean, ela.p95, ela.face, ela.background)
    if result.provenance is not None:
        row["provenance"] = result.provenance
    if limits:
        row["limits"] = list(limits)
    return _to_json(row).encode()


def from_text(text: bytes, sha256: bytes, limits: Sequence[int] = ()) -> Result | None:
    """Return the row that `to_text` wrote.

    Args:
        text: the row.
        sha256: hash of the content.
        limits: of the scan that asks.

    Returns:
        The row; None if the text is no row, if no scan writes such a row, or if it depends on other limits. The file is
        then judged again.
    """
    try:
        row = _decoder.decode(text.decode())
        _expect(row.pop("limits", list(limits)) == list(limits))
        _expect(type(row["faces"]) is list)
        faces = tuple(map(_face, row.pop("faces")))
        ela = _ela(row.pop("ela", None))
        provenance = _provenance(row.pop("provenance", None))
        for name, value in row.items():
            _expect(_FIELDS[name](value))
        verdict = Verdict(row.pop("verdict"))
        _expect(verdict not in (_NOT_SCORED if row.get("p_fake") is not None else _SCORED))
        return Result(
            **row,
            path="",
            verdict=verdict,
            sha256=sha256.hex(),
            faces=faces,
            ela=ela,
            provenance=provenance,
            cached=True,
        )
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return None


def _face(values: Any) -> Face:
    box, score, p_fake, models, turn, frame, tight = values
    _expect(len(box) == 4 and all(map(_is_count, box)) and _is_probability(score))
    _expect(p_fake is None or _is_probability(p_fake))
    _expect(models is None or (type(models) is dict and all(map(_is_probability, models.values()))))
    _expect(type(turn) is int and -180 < turn <= 180 and _is_count(frame) and type(tight) is bool)
    x, y, width, height = box
    return Face((x, y, width, height), score, p_fake, models, turn, frame, tight)


def _ela(values: Any) -> Ela | None:
    if values is None:
        return None
    quality, *levels = values
    _expect(len(levels) == 4 and _is_count(quality) and all(map(_is_level, levels[:2])))
    _expect(all(level is None or _is_level(level) for level in levels[2:]))
    return Ela(quality, *levels)


def _provenance(values: Any) -> Mapping[str, Any] | None:
    if values is None:
        return None
    _expect(type(values) is dict and type(values["marks"]) is list)
    for mark in values["marks"]:
        _expect(all(_is_text(mark[name]) for name in _MARK_TEXTS))
        _expect(mark["generator"] is None or _is_text(mark["generator"]))
    provenance: Mapping[str, Any] = values
    return provenance


def _expect(holds: bool) -> None:
    if not holds:
        raise _InvalidRowError
