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
from scanner.files.candidate import STDIN
from scanner.files.url import is_url
from scanner.findings import FINDINGS, is_finding
from scanner.imaging.inspection.header import DECODABLE
from scanner.output.formats.rows import as_object
from scanner.output.formats.sarif_rules import MARKED, MEND, descriptor, level_of, message, rule_of, rules
from scanner.output.formats.text import json_text
from scanner.printable import on_disk
from scanner.result import Result, Verdict, is_marked

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

_UNREADABLE, _LEFT_OUT = "unreadable", "left-out"


class Sarif:
    """A `scanner.output.formats.Format`. Results are written as they come; files and notifications wait for the end.

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
                descriptor(_UNREADABLE, "FileUnreadable", "A file could not be judged", "warning", "very-high", MEND),
                descriptor(
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
        finding = is_finding(self._fail_on, result.verdict, is_marked(result.provenance))
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
        rule = rule_of(result) if result.verdict in FINDINGS[self._fail_on] else MARKED
        row = {key: value for key, value in as_object(result).items() if key not in ("path", "baseline")}
        told: dict[str, Any] = {
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
            "associatedRule": {"id": rule_of(result), "index": self._rules[rule_of(result)]},
            # "The analysis might be incomplete, but the results that were generated are probably valid" (3.58.6).
            "level": "warning",
            "message": {"text": message(result, rule_of(result))},
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


def location(path: str) -> dict[str, str]:
    """A row's path as an artifactLocation: relative to the folder that we stand in, if it is in there."""
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
