"""Reads known findings from an earlier output, or from a list of allowed pictures, and flags them in new results."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import IO, Any

from scanner.errors import FacescanError
from scanner.findings import is_finding
from scanner.output.allowed import is_allowed_file, read_allowed
from scanner.printable import on_one_line
from scanner.result import Result, Verdict, is_marked


def print_warning(line: str) -> None:
    """Print a warning on standard error; do nothing if standard error is closed."""
    with suppress(OSError):
        print(f"facescan: warning: {on_one_line(line)}", file=sys.stderr)


def read_baseline(file: str, fail_on: str, warn: Callable[[str], None] = print_warning) -> frozenset[str]:
    """Return the hashes of the findings in an earlier output: CSV, JSON or JSON Lines, recognised by its content.

    A file that begins as a `.facescanignore` does (`scanner.output.allowed`) is read as one.

    Args:
        file: path.
        fail_on: which rows are findings; one of `scanner.findings.FAIL_ON`.
        warn: called with a line for each allowed picture that has expired.

    Raises:
        FacescanError: the file cannot be read, or is not an output with rows.
    """
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            if is_allowed_file(first):
                hashes, warnings = read_allowed(file)
                for warning in warnings:
                    warn(warning)
                return hashes
            return frozenset(
                sha256
                for sha256, verdict, row in _rows(first, stream)
                if is_finding(fail_on, verdict, fail_on == "provenance" and _is_marked(row)) and sha256
            )
    except OSError as error:
        raise FacescanError(f"--baseline {file}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise FacescanError(f"--baseline {file}: no complete CSV, JSON or JSON Lines of an earlier scan") from error


def flag_known(results: Iterable[Result], known: frozenset[str], fail_on: str) -> Iterator[Result]:
    """Yield each result with `baseline` set to whether it is a finding that is already known.

    Args:
        results: of the scan.
        known: hashes of known findings.
        fail_on: which rows are findings; one of `scanner.findings.FAIL_ON`.
    """
    for result in results:
        finding = is_finding(fail_on, result.verdict, is_marked(result.provenance))
        yield replace(result, baseline=finding and result.sha256 in known)


def _rows(first: str, stream: IO[str]) -> Iterator[tuple[str, Verdict, Mapping[str, Any]]]:
    """Yield hash, verdict and all fields of every row.

    Args:
        first: the first line, which was already read: the stream may be a pipe, which cannot be rewound.
        stream: the other lines.

    Raises:
        ValueError, TypeError, KeyError, csv.Error: it is not an output of facescan.
    """
    rows: Iterable[Mapping[str, Any]]
    if first.startswith("{"):
        rows = _objects(first, stream)
    else:
        rows = table = csv.DictReader(chain([first], stream), strict=True)
        if first and not {"sha256", "verdict"} <= set(table.fieldnames or ()):  # JSON Lines of nothing are empty
            raise ValueError
    for row in rows:
        sha256 = row["sha256"]
        if not isinstance(sha256, str):
            raise TypeError
        yield sha256, Verdict(row["verdict"]), row


def _is_marked(row: Mapping[str, Any]) -> bool:
    """Return whether a row is marked as generated: by its provenance in JSON, by its marks in CSV."""
    return is_marked(row["provenance"]) if row.get("provenance") else bool(row.get("marks"))


def _objects(first: str, others: IO[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of JSON Lines, or of a JSON file, which begins with a brace, too.

    Args:
        first: the first line.
        others: the stream after it.
    """
    row: Any = None
    with suppress(ValueError):
        row = json.loads(first)
    if isinstance(row, dict) and "sha256" in row:
        yield row
        yield from map(json.loads, others)
    else:
        yield from json.loads(first + others.read())["results"]
