"""CSV, JSON, JSON Lines and lines for people."""

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
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # only so does it quote a lone \r
    return line.getvalue().removesuffix("\r\n") + "\n"


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


@dataclass(slots=True)
class Text:
    """Rows of text, one a line, so that what a killed run leaves can be read with a text tool."""

    line: Callable[[Result], str]
    before: Callable[[Mapping[str, Any]], str] = lambda meta: ""
    between: str = ""
    after: Callable[[Mapping[str, Any]], str] = lambda summary: ""
    cuttable: ClassVar[bool] = True
    note: str = ""
    _begun: bool = False

    def head(self, meta: Mapping[str, Any]) -> str:
        return self.before(meta)

    def row(self, result: Result) -> str:
        between, self._begun = self.between if self._begun else "", True
        return between + self.line(result)

    def tail(self, summary: Mapping[str, Any], complete: bool) -> tuple[str]:
        return (self.after(summary),)


def text_format(name: str, excel: bool = False, color: bool = False) -> Text:
    """`csv`, `jsonl`, `json`, or lines for people (`text`)."""
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
