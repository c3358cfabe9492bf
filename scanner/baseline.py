"""An earlier output -> the findings that are known already, by their content's hash."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import IO, Any

from scanner.errors import FacescanError
from scanner.report import is_finding
from scanner.result import Result, Verdict


def read_baseline(file: str, fail_on: str) -> frozenset[str]:
    """Hashes of what an earlier output (CSV, JSON or JSON Lines, told by its content) has for findings.

    Args:
        file: its path.
        fail_on: what is a finding. What a CSV's pictures say of themselves, it does not tell.

    Raises:
        FacescanError: the file cannot be read, or is no output with rows.
    """
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            return frozenset(
                sha256 for sha256, verdict, said in _rows(stream) if is_finding(fail_on, verdict, said) and sha256
            )
    except OSError as error:
        raise FacescanError(f"--baseline {file}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise FacescanError(f"--baseline {file}: no complete CSV, JSON or JSON Lines of an earlier scan") from error


def marked(results: Iterable[Result], known: frozenset[str], fail_on: str) -> Iterator[Result]:
    """Say of every result whether it is a finding that is known already."""
    for result in results:
        finding = is_finding(fail_on, result.verdict, result.provenance)
        yield replace(result, baseline=finding and result.sha256 in known)


def _rows(stream: IO[str]) -> Iterator[tuple[str, Verdict, Any]]:
    """Hash, verdict and provenance of every row. The stream may be a pipe, which does not go back.

    Raises:
        ValueError, TypeError, KeyError, csv.Error: it is no output of ours.
    """
    rows: Iterable[dict[str, Any]]
    first = stream.readline()
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
        yield sha256, Verdict(row["verdict"]), row.get("provenance")


def _objects(first: str, others: IO[str]) -> Iterator[dict[str, Any]]:
    """The rows of JSON Lines, or of a JSON file, which begins with a brace, too; of its lines, the first was read."""
    row: Any = None
    with suppress(ValueError):
        row = json.loads(first)
    if isinstance(row, dict) and "sha256" in row:
        yield row
        yield from map(json.loads, others)
    else:
        yield from json.loads(first + others.read())["results"]
