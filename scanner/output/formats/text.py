"""Writes results as CSV, JSON, JSON Lines and lines for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scanner.output.formats.rows import COLUMNS, as_cells, as_line, as_object
from scanner.result import Result


def _csv_line(cells: list[str]) -> str:
    """Return cells as one line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # with this terminator it also quotes a lone \r
    return line.getvalue().removesuffix("\r\n") + "\n"


def json_text(value: Any) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


@dataclass(slots=True)
class Text:
    """Implements `scanner.output.formats.Format` with one row a line, so that text tools can read what a killed run
    leaves.

    Attributes:
        line: makes a row's text.
        before: makes the head, from the metadata.
        between: text between two rows.
        after: makes the tail, from the summary.
    """

    line: Callable[[Result], str]
    before: Callable[[Mapping[str, Any]], str] = lambda meta: ""
    between: str = ""
    after: Callable[[Mapping[str, Any]], str] = lambda summary: ""
    can_end_early: ClassVar[bool] = True
    omission_note: str = ""
    _begun: bool = False

    def head(self, meta: Mapping[str, Any]) -> str:
        """Return the text before the rows."""
        return self.before(meta)

    def row(self, result: Result) -> str:
        """Return the text of one row."""
        between, self._begun = self.between if self._begun else "", True
        return between + self.line(result)

    def tail(self, summary: Mapping[str, Any], complete: bool) -> tuple[str]:
        """Return the text after the rows."""
        return (self.after(summary),)


def text_format(name: str, excel: bool = False, color: bool = False) -> Text:
    """Return the format `csv`, `jsonl`, `json`, or lines for people (`text`)."""
    if name == "csv":
        mark = "\ufeff" if excel else ""  # the byte order mark, without which Excel takes UTF-8 for the local encoding
        return Text(lambda result: _csv_line(as_cells(result, excel)), lambda meta: mark + _csv_line(list(COLUMNS)))
    if name == "jsonl":
        return Text(lambda result: json_text(as_object(result)) + "\n")
    if name == "json":
        return Text(
            lambda result: "\n" + json_text(as_object(result)),
            lambda meta: f'{{"meta": {json_text(meta)},\n"results": [',
            ",",
            lambda summary: f'\n],\n"summary": {json_text(summary)}}}\n',
        )
    return Text(lambda result: as_line(result, color) + "\n")
