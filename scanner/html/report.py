"""Writes the HTML report of a scan while the scan runs: a head, the rows as they come, then figures and pictures.

Rows are JSON in script elements that are not executed, `BLOCK` rows in each. An array has

- two elements: the folder of the rows that follow, and its URL, if a row has a link;
- three to five elements, for a row: name; index into `VERDICTS`; p_fake; the last part of the URL (1, or nothing: it is
  the name; 0: there is none); and, for findings, errors and pictures marked as generated, all other fields of JSON.

Thumbnails and figures follow at the end, so that a million rows need no more memory than one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from scanner.detector.card import Card
from scanner.findings import NOTABLE, is_notable
from scanner.html import charts, render
from scanner.html.links import Links
from scanner.html.scan_charts import pace, scores
from scanner.html.tallies import Folders, Highest, Pace, Scores, Thumbnails
from scanner.output.formats.rows import as_object
from scanner.output.overwrite import REPORT
from scanner.output.summary import stage_shares
from scanner.output.writers import Writer
from scanner.printable import on_one_line
from scanner.result import GENERATED, Result, Verdict
from scanner.sources.passed_over import in_words

# Verdicts in the order in which people want to see them.
VERDICTS = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.ERROR, Verdict.REAL, Verdict.NO_FACE)
BLOCK = 5_000
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
# Rows other than findings and errors that the page lists, at most: 200,000 of them open in three seconds on two busy
# cores.
MAX_OTHER_ROWS = 200_000
MAX_ROWS_WITHOUT_SCRIPT = 200  # findings, and errors, that a browser without scripts shows
MAX_FOLDERS = 200
_IN_ARRAY = ("path", "verdict", "p_fake")
_NOTHING: tuple[Any, ...] = (None, "", (), [], {})
_PLACE_OF_ROWS = "<!-- rows -->"
_OPEN, _CLOSE = '<script type="application/json" class="rows">[\n', "\n]</script>\n"


class ReportWriter(Writer):
    """Writes a report.

    Args:
        path: of the page.
        card: of the model.
        meta: as in JSON output.
        force: whether to replace files of any kind.

    Raises:
        FacescanError: it cannot be written, or the extra `report` is not installed.
    """

    option = "--report"
    gets_all_rows = True  # the page shows figures of the whole scan
    kind = REPORT

    def __init__(self, path: str, card: Card, meta: Mapping[str, Any], force: bool = False) -> None:
        super().__init__(path, ReportPage(path, card), meta, force=force)


class ReportPage:
    """Implements `scanner.output.formats.Format`: makes the text of a report.

    Args:
        path: of the page, for relative links.
        card: of the model.
    """

    can_end_early: ClassVar[bool] = True
    omission_note = ""

    def __init__(self, path: str, card: Card) -> None:
        charts.axes("", "")  # fail now, not after the scan, if Matplotlib is missing
        self._links = Links(path)
        self._card = card
        self._meta: Mapping[str, Any] = {}
        self._rows = self._others = self._left_out = 0
        self._place = ("", "")  # folder and its URL, of the previous row
        self._scores, self._folders, self._pace = Scores(), Folders(), Pace()
        self._thumbnails, self._highest = Thumbnails(), Highest(MAX_ROWS_WITHOUT_SCRIPT)
        self._errors: list[tuple[str, str]] = []

    def head(self, meta: Mapping[str, Any]) -> str:
        """Return the page up to the rows."""
        self._meta = meta
        return render("report.html.j2", begun=False).partition(_PLACE_OF_ROWS)[0]

    def row(self, result: Result) -> str:
        """Return one row; empty if it is only counted."""
        folder, name = (on_one_line(part) for part in os.path.split(result.path))
        self._pace.add()
        self._folders.add(folder, result.verdict)
        if result.p_fake is not None:
            self._scores.add(result.verdict, result.p_fake)
        in_full = is_notable(result)
        if not in_full and self._others >= MAX_OTHER_ROWS:
            self._left_out += 1
            return ""
        self._others += not in_full
        if in_full:
            self._remember(result)
        lines = self._lines(result, folder, name, in_full)
        begin = ",\n" if self._rows % BLOCK else (_CLOSE if self._rows else "") + _OPEN
        self._rows += 1
        return begin + ",\n".join(lines)

    def tail(self, summary: Mapping[str, Any], complete: bool) -> Iterator[str]:
        """Yield the page after the rows."""
        yield _CLOSE if self._rows else ""
        for number, jpeg in self._thumbnails:
            yield f'<script type="text/plain" id="t{number}">{jpeg}</script>\n'
        thresholds = self._meta["thresholds"]
        folders = self._folder_rows()
        yield render(
            "report.html.j2",
            begun=True,
            complete=complete,
            written=datetime.now(UTC).astimezone(),
            meta=self._meta,
            card=self._card,
            summary=summary,
            passed_over=in_words(summary["passed_over"]),
            stages=stage_shares(summary["stage_seconds"]),
            verdicts=VERDICTS,
            generated=GENERATED,
            scores=scores(self._scores, thresholds) if self._scores.bins else "",
            pace=pace(self._pace),
            folders=folders,
            highest_share=max((counts[Verdict.FAKE] / sum(counts.values()) for _, counts in folders), default=0) or 1,
            folders_in_all=len(self._folders.table()),
            folded=self._folders.depth,
            highest=list(self._highest),
            errors=self._errors,
            thumbnails=len(self._thumbnails),
            without_thumbnail=self._thumbnails.left_out,
            left_out=self._left_out,
            listed=MAX_OTHER_ROWS,
        ).partition(_PLACE_OF_ROWS)[2]

    def _remember(self, result: Result) -> None:
        """Remember what the end of the page shows about a notable row, if there is room."""
        score = result.p_fake or 0.0
        if result.thumbnail:
            self._thumbnails.add(self._rows, score, result.thumbnail)
        if result.verdict is Verdict.ERROR:
            if len(self._errors) < MAX_ROWS_WITHOUT_SCRIPT:
                self._errors.append((on_one_line(result.path), result.reason))
        elif result.verdict in NOTABLE:
            self._highest.add(self._rows, score, on_one_line(result.path), result.verdict)

    def _lines(self, result: Result, folder: str, name: str, in_full: bool) -> Iterator[str]:
        """Yield the row, after its folder if the previous row has another one."""
        url, segment = self._links.to(result.path)
        if folder != self._place[0] or (url and url != self._place[1]):
            self._place = (folder, url)
            yield _json(self._place)
        row: list[Any] = [name, VERDICTS.index(result.verdict), result.p_fake]
        plain = segment == quote(name, safe="")
        if in_full or not plain:
            row.append(1 if plain else segment or 0)
        if in_full:
            # All other fields of JSON, whatever they are: the page shows those it knows, and lists the rest.
            fields = as_object(result)
            row.append(_without_empty({key: fields[key] for key in fields if key not in _IN_ARRAY}))
        yield _json(row)

    def _folder_rows(self) -> list[tuple[str, Mapping[Verdict, int]]]:
        """Return the folders with most findings, and their verdicts."""
        table = self._folders.table()
        worst = sorted(table, key=lambda folder: ([-table[folder][verdict] for verdict in NOTABLE], folder))
        return [(folder, table[folder]) for folder in worst[:MAX_FOLDERS]]


def _without_empty(value: Any) -> Any:
    """Remove fields without a value, at all levels."""
    if isinstance(value, dict):
        return {key: _without_empty(inner) for key, inner in value.items() if inner not in _NOTHING}
    return [_without_empty(inner) for inner in value] if isinstance(value, list | tuple) else value


def _json(value: Any) -> str:
    """Return JSON that is safe inside a script element, whatever it contains (HTML, 4.12.1.3)."""
    return _ENCODER.encode(value).replace("<", "\\u003c")
