"""Turns rows into the bytes of each output format, with what stands before and after them.

`Format` is what every format keeps; one module a format. Imports `detector` and the vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

from scanner.errors import FacescanError
from scanner.result import Result

_SUFFIXES = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "text",
    ".parquet": "parquet",
    ".sarif": "sarif",
}


class Format(Protocol):
    """Makes the bytes of one output, in order. Text is written as UTF-8.

    Attributes:
        can_end_early: whether `tail` can complete the output after a row that could not be written.
    """

    can_end_early: ClassVar[bool]

    @property
    def omission_note(self) -> str:
        """Return a message about rows that the format omitted; empty if it omitted none."""

    def head(self, meta: Mapping[str, Any]) -> str | bytes:
        """Return the bytes before the rows."""

    def row(self, result: Result) -> str | bytes:
        """Return the bytes that one more row adds."""

    def tail(self, summary: Mapping[str, Any], complete: bool) -> Iterable[str | bytes]:
        """Yield the bytes after the rows. It is called again if they could not be written.

        Args:
            summary: as JSON output has it.
            complete: False if the scan was interrupted.
        """


def format_of(path: str, otherwise: str | None) -> str:
    """Return the format of an output: that of its suffix, or `otherwise` for an unknown suffix.

    Raises:
        FacescanError: the suffix is unknown, and `otherwise` is None.
    """
    name = path.lower()
    suffix = os.path.splitext(name.removesuffix(".json") if name.endswith(".sarif.json") else name)[1]
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if otherwise is None:
        raise FacescanError(
            f"--out {path}: unknown suffix {suffix!r}; use .csv, .json, .jsonl, .parquet or .sarif, or say --format"
        )
    return otherwise


def make_format(name: str, excel: bool = False, color: bool = False, fail_on: str = "fake") -> Format:
    """Return a format by its name.

    Args:
        name: `csv`, `json`, `jsonl`, `parquet`, `sarif` or `text`.
        excel: whether a CSV is for a spreadsheet.
        color: whether lines for people are coloured.
        fail_on: which rows are findings; one of `scanner.findings.FAIL_ON`.
    """
    if name == "parquet":
        from scanner.output.formats.parquet import Parquet

        return Parquet()
    if name == "sarif":
        from scanner.output.formats.sarif import Sarif

        return Sarif(fail_on)
    from scanner.output.formats.text import text_format

    return text_format(name, excel, color)
