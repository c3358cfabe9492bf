"""Writes results as SARIF 2.1.0 (OASIS Standard, errata 01), so that findings appear where those of linters do.

Findings are SARIF results. Files that could not be judged are notifications of the tool and, where they count as
findings, results as well. Requirements of GitHub's code scanning beyond the standard are from "SARIF support for code
scanning" in its documentation: a line in every location, one fingerprint under one name, help for every rule, and
limits.
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
from scanner.files.candidate import STDIN
from scanner.files.url import is_url
from scanner.findings import FINDINGS, is_finding
from scanner.imaging.inspection.header import DECODABLE
from scanner.output.formats.rows import as_object
from scanner.output.formats.sarif_rules import MARKED, NOT_SCORED, descriptor, level_of, message, rule_of, rules
from scanner.output.formats.text import json_text
from scanner.printable import on_disk
from scanner.result import Result, Verdict, is_marked

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# GitHub refuses an upload as a whole if a run has more results, or if it has more bytes once gzipped.
MAX_RESULTS, MAX_GZIPPED = 25_000, 10_000_000
# Bytes of `MAX_GZIPPED` set aside for what `_UploadSize` does not count: rules, settings, the compressor's buffer, the
# last row.
RESERVE = 500_000
# Notifications are held in memory until the end; so is the list of files.
MAX_NOTIFICATIONS = 5_000
ROOT = "%SRCROOT%"
# GitHub shows no result without a line, and a picture has no lines. The byte range is the whole file.
_REGION = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1, "byteOffset": 0}

_UNREADABLE, _LEFT_OUT = "unreadable", "left-out"


class Sarif:
    """Implements `scanner.output.formats.Format`. Results are written at once; files and notifications, at the end.

    Args:
        fail_on: which rows are findings, and so SARIF results; one of `scanner.findings.FAIL_ON`.
    """

    can_end_early: ClassVar[bool] = True

    def __init__(self, fail_on: str) -> None:
        self._fail_on = fail_on
        self._rules = {rule["id"]: i for i, rule in enumerate(rules())}
        self._artifacts: dict[str, int] = {}  # JSON of a file -> its index; each file is listed once
        self._notifications: list[str] = []
        self._results = self._omitted_findings = self._omitted_errors = 0
        self._upload = _UploadSize()

    @property
    def omission_note(self) -> str:
        """Say how many findings and errors were omitted because of the upload limits; empty if none were."""
        omitted = [(self._omitted_findings, "findings"), (self._omitted_errors, "files that could not be judged")]
        counts = " and ".join(f"{count:,} {what}" for count, what in omitted if count)
        limits = f"code scanning accepts {MAX_RESULTS:,} results and {MAX_GZIPPED // 10**6} MB"
        return f"omitted {counts} ({limits}); CSV, JSON and Parquet outputs are complete" if counts else ""

    def head(self, meta: Mapping[str, Any]) -> str:
        """Return the tool with its rules, the settings, and the beginning of the results."""
        driver = {
            "name": "facescan",
            "semanticVersion": __version__,
            "rules": rules(),
            "notifications": [
                descriptor(
                    _UNREADABLE, "FileUnreadable", "A file could not be judged", "warning", "very-high", NOT_SCORED
                ),
                descriptor(
                    _LEFT_OUT,
                    "RowsLeftOut",
                    "Findings omitted: the upload limit was reached",
                    "warning",
                    "very-high",
                    "CSV, JSON and Parquet outputs are complete.",
                ),
            ],
        }
        bases = {ROOT: {"description": {"text": "The folder in which facescan was started."}}}
        return (
            f'{{"$schema": "{SCHEMA}",\n"version": "2.1.0",\n"runs": [{{"tool": {json_text({"driver": driver})},\n'
            f'"originalUriBaseIds": {json_text(bases)},\n"properties": {json_text(meta)},\n"results": ['
        )

    def row(self, result: Result) -> str:
        """Return the SARIF result of a finding, and remember the notification of an error; empty for other rows."""
        finding = is_finding(self._fail_on, result.verdict, is_marked(result.provenance))
        text = self._result(result) if finding else ""
        if result.verdict is Verdict.ERROR:
            self._notify(result)
        return text

    def tail(self, summary: Mapping[str, Any], complete: bool) -> Iterator[str]:
        """Yield the list of files, the exit code and the notifications."""
        notifications = list(self._notifications)
        if self.omission_note:
            text = self.omission_note[0].upper() + self.omission_note[1:]
            omitted = {"descriptor": {"id": _LEFT_OUT, "index": 1}, "level": "warning", "message": {"text": text}}
            notifications.append("\n" + json_text(omitted))
        # The exit code of an interrupted scan is not known here.
        outcome = f'"exitCode": {summary["exit_code"]}, ' if complete and "exit_code" in summary else ""
        outcome += f'"executionSuccessful": {json_text(complete)}'
        yield '\n],\n"artifacts": ['
        yield ",".join(self._artifacts)
        yield f'\n],\n"invocations": [{{{outcome},\n"toolExecutionNotifications": ['
        yield ",".join(notifications)
        yield "\n]}]}]}\n"

    def _result(self, result: Result) -> str:
        """Return the JSON of a SARIF result, with a comma before all but the first; empty if it exceeds a limit."""
        where = location(result.path)
        artifact = "\n" + json_text(_artifact(result, where))
        index = self._artifacts.get(artifact, len(self._artifacts))
        rule = rule_of(result) if result.verdict in FINDINGS[self._fail_on] else MARKED
        row = {key: value for key, value in as_object(result).items() if key not in ("path", "baseline")}
        entry: dict[str, Any] = {
            "ruleId": rule,
            "ruleIndex": self._rules[rule],
            "level": level_of(rule),
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
            entry["rank"] = round(100 * result.p_fake, 2)
        if result.faces:
            entry["attachments"] = [{"artifactLocation": where, "rectangles": _rectangles(result)}]
        if result.baseline is not None:
            entry["baselineState"] = "unchanged" if result.baseline else "new"
        text = "\n" + json_text(entry)
        if (
            self._omitted_findings
            or self._results == MAX_RESULTS
            or not self._upload.fits(results=text, artifacts=artifact)
        ):
            self._omitted_findings += 1
            return ""
        self._artifacts[artifact] = index
        self._results += 1
        return text if self._results == 1 else "," + text

    def _notify(self, result: Result) -> None:
        """Remember the notification of a file that could not be judged, or count it as omitted."""
        entry = {
            "descriptor": {"id": _UNREADABLE, "index": 0},
            "associatedRule": {"id": rule_of(result), "index": self._rules[rule_of(result)]},
            # "The analysis might be incomplete, but the results that were generated are probably valid" (3.58.6).
            "level": "warning",
            "message": {"text": message(result, rule_of(result))},
            "locations": [{"physicalLocation": {"artifactLocation": location(result.path)}}],
        }
        text = "\n" + json_text(entry)
        if (
            self._omitted_errors
            or len(self._notifications) == MAX_NOTIFICATIONS
            or not self._upload.fits(notifications=text)
        ):
            self._omitted_errors += 1
        else:
            self._notifications.append(text)


def location(path: str) -> dict[str, str]:
    """Return a row's path as an `artifactLocation`: relative to the working directory if the file lies below it."""
    if path == STDIN:
        return {"uri": "file:///dev/stdin"}
    if is_url(path):
        scheme, _, rest = path.partition("://")
        return {"uri": f"{scheme}://{quote(rest)}"}
    file = os.path.abspath(os.fsdecode(on_disk(path)))
    try:
        below = Path(os.path.relpath(file))
    except ValueError:  # another drive
        below = Path(os.pardir)
    if os.pardir in below.parts:
        return {"uri": Path(file).as_uri()}
    return {"uri": quote(os.fsencode(below.as_posix())), "uriBaseId": ROOT}


def _artifact(result: Result, where: Mapping[str, str]) -> dict[str, Any]:
    """Return the entry of a row's file in the list of artifacts."""
    artifact: dict[str, Any] = {"location": where, "roles": ["analysisTarget"]}
    if result.bytes is not None:
        artifact["length"] = result.bytes
    if result.format in DECODABLE:
        artifact["mimeType"] = f"image/{result.format}"
    if result.sha256:
        artifact["hashes"] = {"sha-256": result.sha256}
    return artifact


def _fingerprints(result: Result, uri: str) -> dict[str, str]:
    """Return fingerprints of the content. GitHub uses the first one only, together with path and rule."""
    content = result.sha256 or hashlib.sha256(uri.encode()).hexdigest()
    line = {"primaryLocationLineHash": f"{content[:16]}:1"}
    return line | ({"sha256/v1": result.sha256} if result.sha256 else {})


def _rectangles(result: Result) -> list[dict[str, int]]:
    """Return the boxes of the faces, without duplicates."""
    boxes = dict.fromkeys(face.box for face in result.faces)
    return [{"left": x, "top": y, "right": x + width, "bottom": y + height} for x, y, width, height in boxes]


class _UploadSize:
    """Estimates the size of the upload, which is gzipped."""

    def __init__(self) -> None:
        self._streams: dict[str, Any] = {}
        self._size = RESERVE

    def fits(self, **parts: str) -> bool:
        """Return whether there is room for more text, and if so count it.

        Args:
            parts: text by the section of the file in which it is written; each section is compressed apart.
        """
        if self._size >= MAX_GZIPPED:
            return False
        for name, part in parts.items():
            stream = self._streams.setdefault(name, zlib.compressobj())
            self._size += len(stream.compress(part.encode("utf-8", "backslashreplace")))
        return True
