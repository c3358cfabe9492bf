"""Recognises files that facescan wrote, because it replaces no others: no pictures, no databases, no notes.

The content decides, never the name. An empty file may always be replaced.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from scanner.errors import FacescanError
from scanner.output.formats.rows import COLUMNS
from scanner.result import Verdict

# Bytes that are read from a file's beginning: more than any row's path and the settings of a scan take.
HEAD = 2**16
# Bytes that are read of a Parquet file's footer. For ten million rows it takes less than one megabyte.
_MAX_FOOTER = 2**26
# Columns of a CSV file, at least: many other tables begin with "path", too.
_FEWEST_COLUMNS = 2

_META = re.compile(rb'\s*\{\s*"meta"\s*:\s*\{.*?"tool"\s*:\s*"facescan ', re.DOTALL)
_RESULTS = re.compile(rb'"results"\s*:\s*\[')
_VERDICTS = "|".join(Verdict).encode()
_JSON_ROW = re.compile(
    rb'\{\s*"path"\s*:\s*"(?:[^"\\]|\\.)*"\s*,\s*"verdict"\s*:\s*"(?:%s)"\s*,\s*"p_fake"\s*:' % _VERDICTS
)
_SARIF = re.compile(rb'\s*\{.*?"driver"\s*:\s*\{\s*"name"\s*:\s*"facescan"', re.DOTALL)
# A line for people, with or without colour: `scanner.output.formats.rows.as_line`.
_LINE = re.compile(
    rb"(?:\x1b\[\d+m)?(?:%s)(?:\x1b\[0m)? (?:[01]\.\d{4}| {6})  \S"
    % b"|".join(verdict.ljust(9).encode() for verdict in Verdict)
)
_PAGE = re.compile(rb"<!doctype html>.{0,4096}?<title>facescan report</title>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Kind:
    """Describes one kind of file that facescan writes.

    Attributes:
        name: for messages.
        matches: returns whether a file is of this kind. Its arguments are the file, its first `HEAD` bytes, and whether
            the beginning of an unfinished file is enough.
    """

    name: str
    matches: Callable[[BinaryIO, bytes, bool], bool]


def check_replaceable(path: str, kind: Kind | None, option: str, otherwise: str = "use --force to replace it") -> None:
    """Make sure that a file may be replaced by an output.

    Args:
        path: of the output. There need not be a file yet; what is not a regular file is written to, and never replaced.
        kind: of the output; None may replace anything (`--force`).
        option: the option that names the output, for messages.
        otherwise: what to do instead of naming another file, for messages.

    Raises:
        FacescanError: there is a file of another kind, or one that cannot be read.
    """
    if kind is None or not os.path.isfile(path):
        return
    try:
        with open(path, "rb") as file:
            if is_of_kind(file, kind):
                return
    except OSError as error:
        raise FacescanError(
            f"{option} {path}: cannot tell whether it may be replaced: {error.strerror}; "
            f"name another file, or {otherwise}"
        ) from error
    raise FacescanError(
        f"{option} {path}: this file exists, is not {kind.name} of facescan, and was not changed; name another file, "
        f"or {otherwise}"
    )


def is_of_kind(file: BinaryIO, kind: Kind, unfinished: bool = False) -> bool:
    """Return whether a file is empty or of this kind; or, if `unfinished`, at least begins like one."""
    file.seek(0)
    head = file.read(HEAD)
    if unfinished:
        head = head.rstrip(b"\0")  # which a power cut may leave in a file that was being written
    return not head or kind.matches(file, head, unfinished)


def _is_rows(file: BinaryIO, head: bytes, unfinished: bool) -> bool:
    """Return whether a file has rows in any format: an output may replace one of another format."""
    return (
        _is_csv(head)
        or _JSON_ROW.match(head) is not None
        or (_META.match(head) is not None and _RESULTS.search(head) is not None)
        or _LINE.match(head) is not None
        or _SARIF.match(head) is not None
        or _is_parquet(file, head, unfinished)
    )


def _is_csv(head: bytes) -> bool:
    """Return whether the first line names facescan's columns, or the first of them; an added column is somebody's
    notes.
    """
    line = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    try:
        cells = next(csv.reader([line.decode().rstrip("\r")]), [])
    except (UnicodeDecodeError, csv.Error):
        return False
    return len(cells) >= _FEWEST_COLUMNS and tuple(cells) == COLUMNS[: len(cells)]


def _is_parquet(file: BinaryIO, head: bytes, unfinished: bool) -> bool:
    """Return whether the key-value metadata are facescan's. They are at the end, which an unfinished file does
    not have.
    """
    if not head.startswith(b"PAR1"):
        return False
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    end = file.read(8)
    if size < 12 or not end.endswith(b"PAR1"):
        return unfinished
    length = min(int.from_bytes(end[:4], "little"), size - 8, _MAX_FOOTER)
    file.seek(size - 8 - length)
    return b"facescan.tool" in file.read(length)


def _is_summary(file: BinaryIO, head: bytes, unfinished: bool) -> bool:
    if head.startswith(b"# facescan\n\n| | |\n"):
        return True
    if not _META.match(head):
        return False
    file.seek(0)
    try:
        return set(json.loads(file.read())) == {"meta", "summary"}
    except ValueError:
        return False


def _is_report(file: BinaryIO, head: bytes, unfinished: bool) -> bool:
    return _PAGE.match(head.lstrip()) is not None


ROWS = Kind("an output with rows", _is_rows)
SUMMARY = Kind("a summary", _is_summary)
REPORT = Kind("a report", _is_report)
