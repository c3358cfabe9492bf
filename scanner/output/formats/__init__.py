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
    """The bytes of one output, in order. Text is written as UTF-8.

    Attributes:
        cuttable: whether the rows so far can still be ended well when one of them found no room.
    """

    cuttable: ClassVar[bool]

    @property
    def note(self) -> str:
        """What is to be said to people of rows that the format left out; empty if nothing."""

    def head(self, meta: Mapping[str, Any]) -> str | bytes:
        """What stands before the rows."""

    def row(self, result: Result) -> str | bytes:
        """What one more row adds."""

    def tail(self, summary: Mapping[str, Any], complete: bool) -> Iterable[str | bytes]:
        """What stands after the rows, in pieces; they are not `complete` if the scan was broken off.

        It may be asked for again, if it found no room.
        """


def format_of(path: str, otherwise: str | None) -> str:
    """The format of an output: by its suffix, or `otherwise` where that says nothing.

    Raises:
        FacescanError: neither says it.
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
    """A format by its name.

    Args:
        name: `csv`, `json`, `jsonl`, `parquet`, `sarif` or `text`.
        excel: whether a CSV is for a spreadsheet.
        color: whether lines for people are coloured.
        fail_on: what counts as a finding; one of `scanner.output.summary.FAIL_ON`.
    """
    if name == "parquet":
        from scanner.output.formats.parquet import Parquet

        return Parquet()
    if name == "sarif":
        from scanner.output.formats.sarif import Sarif

        return Sarif(fail_on)
    from scanner.output.formats.text import text_format

    return text_format(name, excel, color)
