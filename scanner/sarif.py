"""Results -> SARIF 2.1.0 (OASIS Standard, errata 01), so that findings show where those of linters do.

Findings are results; files that could not be judged are notifications of the tool, and results, too, where they are
findings. What GitHub's code scanning asks for beyond the standard is from "SARIF support for code scanning" of its
documentation: a line in every location, one fingerprint under one name, help for every rule, and limits.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from scanner import __version__
from scanner.header import DECODABLE
from scanner.report import FINDINGS, is_finding
from scanner.result import Result, Verdict, generators
from scanner.url import is_url
from scanner.walk import STDIN
from scanner.writers import as_object, json_text

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# An upload to GitHub with more results in a run, or more bytes once gzipped, is refused as a whole.
MAX_RESULTS, MAX_GZIPPED = 25_000, 10_000_000
# Of those bytes, for what is not counted: rules, settings, what the compressor has not given yet, the last row.
RESERVE = 500_000
# They are held in memory until the end, as the list of files is.
MAX_NOTIFICATIONS = 5_000
ROOT = "%SRCROOT%"
# GitHub shows no result without a line; a picture has none. The bytes are the whole file's.
_REGION = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1, "byteOffset": 0}

MARKED = "marked"
_HELP: dict[str, str] = {
    Verdict.FAKE: "The model takes a face here for generated or manipulated: its calibrated estimate, p_fake, "
    "is at or over the threshold. Look at the picture, and ask where it comes from. Do not decide about a person on a "
    "verdict alone: a false alarm is an accusation. --fpr sets how many false alarms to accept, and --baseline takes "
    "findings that were looked at for known.",
    Verdict.UNCERTAIN: "The estimate, p_fake, lies between the two thresholds of the model's card, where the model was "
    "wrong too often to say more. Look at the picture.",
    MARKED: "The file's own metadata say that a generator made the picture, wholly or in part. That is evidence beside "
    "p_fake, and not in it: metadata are easily forged, and lost whenever a picture is saved anew.",
}
# Name, text, level, precision.
_DESCRIPTIONS: dict[str, tuple[str, str, str, str]] = {
    Verdict.FAKE: ("FakeFace", "Probably a generated or manipulated face", "error", "medium"),
    Verdict.UNCERTAIN: ("UncertainFace", "The model does not know whether this face is real", "warning", "low"),
    MARKED: ("MarkedAsGenerated", "The picture says itself that it was generated", "warning", "high"),
}
_MEND = "Nothing is known of this picture. Where it matters, look at it, or mend what keeps it from being read."
# The kinds of errors: a row's reason up to the colon.
ERRORS = {
    "not_found": "there is no such file",
    "vanished": "the file was gone when its turn came",
    "broken_link": "the link leads nowhere",
    "permission_denied": "the file may not be read",
    "read_failed": "reading the file failed",
    "not_a_file": "it is no regular file",
    "unreadable_folder": "the folder cannot be listed",
    "empty": "the file is empty",
    "too_many_bytes": "the file is larger than --max-bytes",
    "unsupported_scheme": "URLs of this kind are not scanned",
    "not_an_image": "the content is no picture",
    "unsupported_format": "the format is not decoded",
    "unsupported_pixels": "pixels of this kind are not decoded",
    "too_many_pixels": "the picture is larger than --max-pixels",
    "too_many_scans": "the JPEG has too many scans",
    "truncated": "the file ends before the picture does",
    "corrupt": "the picture cannot be decoded",
    "out_of_memory": "the picture took more memory than --max-memory",
    "decoder_crashed": "the decoder crashed",
    "decode_timeout": "the picture took longer than --timeout",
    "too_long_for_ela": "the picture is too long for Error Level Analysis",
    "model_failed": "the model gave no number",
    "internal_error": "facescan failed; please report it",
}
_UNREADABLE, _LEFT_OUT = "unreadable", "left-out"


class Sarif:
    """A `scanner.writers.Format`. Results are written as they come; files and notifications wait for the end.

    Args:
        fail_on: what is a finding, and so a result.
    """

    cuttable: ClassVar[bool] = True

    def __init__(self, fail_on: str) -> None:
        self._fail_on = fail_on
        self._rules = {rule["id"]: i for i, rule in enumerate(rules())}
        self._artifacts: dict[str, int] = {}  # to their index: each file stands there once
        self._notifications: list[str] = []
        self._results = self._left_out = self._unmentioned = 0
        self._gzipped = _Gauge()

    @property
    def note(self) -> str:
        """What did not fit."""
        left_out = [(self._left_out, "findings"), (self._unmentioned, "files that could not be judged")]
        told = " and ".join(f"{count:,} {what}" for count, what in left_out if count)
        limits = f"code scanning takes {MAX_RESULTS:,} results and {MAX_GZIPPED // 10**6} MB"
        return f"{told} did not fit ({limits}); the other formats have all rows" if told else ""

    def head(self, meta: Mapping[str, Any]) -> str:
        driver = {
            "name": "facescan",
            "semanticVersion": __version__,
            "rules": rules(),
            "notifications": [
                _descriptor(_UNREADABLE, "FileUnreadable", "A file could not be judged", "warning", "very-high", _MEND),
                _descriptor(
                    _LEFT_OUT, "RowsLeftOut", "Rows did not fit", "warning", "very-high", "The others have all."
                ),
            ],
        }
        bases = {ROOT: {"description": {"text": "The folder that facescan was started in."}}}
        return (
            f'{{"$schema": "{SCHEMA}",\n"version": "2.1.0",\n"runs": [{{"tool": {json_text({"driver": driver})},\n'
            f'"originalUriBaseIds": {json_text(bases)},\n"properties": {json_text(meta)},\n"results": ['
        )

    def row(self, result: Result) -> str:
        finding = is_finding(self._fail_on, result.verdict, result.provenance)
        text = self._result(result) if finding else ""
        if result.verdict is Verdict.ERROR:
            self._notify(result)
        return text

    def tail(self, summary: Mapping[str, Any], complete: bool) -> Iterator[str]:
        notifications = list(self._notifications)
        if self.note:
            told = {"descriptor": {"id": _LEFT_OUT, "index": 1}, "level": "warning", "message": {"text": self.note}}
            notifications.append("\n" + json_text(told))
        # Of a scan that was broken off, the exit code is not known here.
        how = f'"exitCode": {summary["exit_code"]}, ' if complete and "exit_code" in summary else ""
        how += f'"executionSuccessful": {json_text(complete)}'
        yield '\n],\n"artifacts": ['
        yield ",".join(self._artifacts)
        yield f'\n],\n"invocations": [{{{how},\n"toolExecutionNotifications": ['
        yield ",".join(notifications)
        yield "\n]}]}]}\n"

    def _result(self, result: Result) -> str:
        where = location(result.path)
        artifact = "\n" + json_text(_artifact(result, where))
        index = self._artifacts.get(artifact, len(self._artifacts))
        rule = _rule(result) if result.verdict in FINDINGS[self._fail_on] else MARKED
        row = {key: value for key, value in as_object(result).items() if key not in ("path", "baseline")}
        told: dict[str, Any] = {
            "ruleId": rule,
            "ruleIndex": self._rules[rule],
            "level": _DESCRIPTIONS[rule][2] if rule in _DESCRIPTIONS else "warning",
            "message": {"text": message(result, rule)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": where | {"index": index},
                        "region": _REGION | ({} if result.bytes is None else {"byteLength": result.bytes}),
                    }
                }
            ],
            "partialFingerprints": _fingerprints(result, where["uri"]),
            "properties": row,
        }
        if result.p_fake is not None:
            told["rank"] = round(100 * result.p_fake, 2)
        if result.faces:
            told["attachments"] = [{"artifactLocation": where, "rectangles": _rectangles(result)}]
        if result.baseline is not None:
            told["baselineState"] = "unchanged" if result.baseline else "new"
        text = "\n" + json_text(told)
        if self._left_out or self._results == MAX_RESULTS or not self._gzipped.fits(results=text, artifacts=artifact):
            self._left_out += 1
            return ""
        self._artifacts[artifact] = index
        self._results += 1
        return text if self._results == 1 else "," + text

    def _notify(self, result: Result) -> None:
        told = {
            "descriptor": {"id": _UNREADABLE, "index": 0},
            "associatedRule": {"id": _rule(result), "index": self._rules[_rule(result)]},
            # "The analysis might be incomplete, but the results that were generated are probably valid" (3.58.6).
            "level": "warning",
            "message": {"text": message(result, _rule(result))},
            "locations": [{"physicalLocation": {"artifactLocation": location(result.path)}}],
        }
        text = "\n" + json_text(told)
        if (
            self._unmentioned
            or len(self._notifications) == MAX_NOTIFICATIONS
            or not self._gzipped.fits(notifications=text)
        ):
            self._unmentioned += 1
        else:
            self._notifications.append(text)


def rules() -> list[dict[str, Any]]:
    """Every rule, whatever this run found, so that two runs differ in results only."""
    judged = [_descriptor(verdict, *_DESCRIPTIONS[verdict], _HELP[verdict]) for verdict in _DESCRIPTIONS]
    for kind, text in ERRORS.items():
        name = "".join(map(str.capitalize, _rule_of(kind).split("-")))
        text = f"Could not be judged: {text}"
        judged.append(_descriptor(_rule_of(kind), name, text, "warning", "very-high", _MEND))
    return judged


def message(result: Result, rule: str) -> str:
    """What a rule says of a row, in one line; the first sentence is a title."""
    if rule == MARKED:
        by = ", ".join(generators(result.provenance or {"marks": []}))
        return f"{_DESCRIPTIONS[rule][1]}{_plain(f' by {by}') if by else ''}. Anybody can write or remove such a mark."
    if result.verdict is Verdict.ERROR:
        return f"Could not be judged: {ERRORS[_kind(result)]} ({_plain(result.reason)})."
    text = f"{_DESCRIPTIONS[rule][1]}: p_fake {result.p_fake:.4f}."
    _, _, decisive = result.reason.partition("face:")
    if not decisive:
        return f"{text} The whole picture was judged."
    x, y, width, height = result.faces[int(decisive)].box
    return f"{text} Face {int(decisive) + 1} of {len(result.faces)} decided: {width} x {height} pixels at {x}, {y}."


def location(path: str) -> dict[str, str]:
    """A row's path as an artifactLocation: relative to the folder that we stand in, if it is in there."""
    if path == STDIN:
        return {"uri": "file:///dev/stdin"}
    if is_url(path):
        scheme, _, rest = path.partition("://")
        return {"uri": f"{scheme}://{quote(rest)}"}
    file = Path(path)
    if file.is_absolute() or ".." in file.parts:
        return {"uri": Path(os.path.abspath(file)).as_uri()}
    return {"uri": quote(file.as_posix()), "uriBaseId": ROOT}


def _descriptor(id: str, name: str, text: str, level: str, precision: str, help: str) -> dict[str, Any]:
    return {
        "id": str(id),
        "name": name,
        "shortDescription": {"text": f"{text}."},
        "fullDescription": {"text": f"{text}. {help}"},
        "help": {"text": help},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["deepfake", "picture"], "precision": precision, "problem.severity": level},
    }


def _artifact(result: Result, where: Mapping[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {"location": where, "roles": ["analysisTarget"]}
    if result.bytes is not None:
        told["length"] = result.bytes
    if result.format in DECODABLE:
        told["mimeType"] = f"image/{result.format}"
    if result.sha256:
        told["hashes"] = {"sha-256": result.sha256}
    return told


def _fingerprints(result: Result, uri: str) -> dict[str, str]:
    """What the content is; GitHub looks at the first name only, and takes path and rule into account by itself."""
    content = result.sha256 or hashlib.sha256(uri.encode()).hexdigest()
    line = {"primaryLocationLineHash": f"{content[:16]}:1"}
    return line | ({"sha256/v1": result.sha256} if result.sha256 else {})


def _rectangles(result: Result) -> list[dict[str, int]]:
    """The faces, each place once."""
    boxes = dict.fromkeys(face.box for face in result.faces)
    return [{"left": x, "top": y, "right": x + width, "bottom": y + height} for x, y, width, height in boxes]


def _rule(result: Result) -> str:
    return _rule_of(_kind(result)) if result.verdict is Verdict.ERROR else str(result.verdict)


def _rule_of(kind: str) -> str:
    """Without a slash, which would be a hierarchy to readers (3.27.5)."""
    return f"error-{kind.replace('_', '-')}"


def _kind(result: Result) -> str:
    kind = result.reason.partition(":")[0]
    return kind if kind in ERRORS else "internal_error"


def _plain(text: str) -> str:
    """Text in which nothing is a link or a placeholder (3.11.5, 3.11.6)."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("{", "{{").replace("}", "}}")


class _Gauge:
    """How large what was let in will be once it is gzipped, as the upload is."""

    def __init__(self) -> None:
        self._streams: dict[str, Any] = {}
        self._size = RESERVE

    def fits(self, **parts: str) -> bool:
        """Count the parts in, each with its like, if there is room."""
        if self._size >= MAX_GZIPPED:
            return False
        for name, part in parts.items():
            stream = self._streams.setdefault(name, zlib.compressobj())
            self._size += len(stream.compress(part.encode("utf-8", "backslashreplace")))
        return True
