"""A scan as one page to look at, written while it runs: a head, the rows as they come, and behind them what is shown.

Rows are JSON in script elements that nothing executes, `BLOCK` rows in each; an array has, of

- two: the folder of the rows that follow, and its URL, if any of them has one;
- three to five: name, index into `VERDICTS`, p_fake; the last part of the URL (1: it is the name, as where there is
  nothing, and 0: there is none); and, of findings, errors and what is marked as
  generated, the other fields of JSON's rows, whatever they are.

Thumbnails and what is shown follow at the end, so that a scan needs no more memory for a million rows than for one.
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

# In the order in which people want to see them.
VERDICTS = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.ERROR, Verdict.REAL, Verdict.NO_FACE)
BLOCK = 5_000
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
# Rows without a finding that can be looked up: 200,000 of them open in three seconds on two busy cores.
LISTED = 200_000
PLAIN = 200  # findings, and errors, for those who read without a script
SHOWN_FOLDERS = 200
_IN_ARRAY = ("path", "verdict", "p_fake")
_NOTHING: tuple[Any, ...] = (None, "", (), [], {})
_PLACE_OF_ROWS = "<!-- rows -->"
_OPEN, _CLOSE = '<script type="application/json" class="rows">[\n', "\n]</script>\n"


class ReportWriter(Writer):
    """Owns a report as its base owns any output.

    Args:
        path: of the page.
        card: of the model.
        meta: as JSON output has it.
        force: replace files of any kind.

    Raises:
        FacescanError: it cannot be written, or the extra `report` is not installed.
    """

    option = "--report"
    counts_all = True  # the figures at its top are those of the whole scan
    kind = REPORT

    def __init__(self, path: str, card: Card, meta: Mapping[str, Any], force: bool = False) -> None:
        super().__init__(path, ReportPage(path, card), meta, force=force)


class ReportPage:
    """What stands in a report: a `scanner.output.formats.Format`."""

    can_end_early: ClassVar[bool] = True
    omission_note = ""

    def __init__(self, path: str, card: Card) -> None:
        charts.axes("", "")  # find out now, not after the scan, whether there is what draws them
        self._links = Links(path)
        self._card = card
        self._meta: Mapping[str, Any] = {}
        self._rows = self._others = self._left_out = 0
        self._place = ("", "")  # folder and its URL, of the row before
        self._scores, self._folders, self._pace = Scores(), Folders(), Pace()
        self._thumbnails, self._highest = Thumbnails(), Highest(PLAIN)
        self._errors: list[tuple[str, str]] = []

    def head(self, meta: Mapping[str, Any]) -> str:
        """All that stands before the rows."""
        self._meta = meta
        return render("report.html.j2", begun=False).partition(_PLACE_OF_ROWS)[0]

    def row(self, result: Result) -> str:
        """One row; empty if it is only counted."""
        folder, name = (on_one_line(part) for part in os.path.split(result.path))
        self._pace.add()
        self._folders.add(folder, result.verdict)
        if result.p_fake is not None:
            self._scores.add(result.verdict, result.p_fake)
        in_full = is_notable(result)
        if not in_full and self._others >= LISTED:
            self._left_out += 1
            return ""
        self._others += not in_full
        if in_full:
            self._keep(result)
        lines = self._lines(result, folder, name, in_full)
        begin = ",\n" if self._rows % BLOCK else (_CLOSE if self._rows else "") + _OPEN
        self._rows += 1
        return begin + ",\n".join(lines)

    def tail(self, summary: Mapping[str, Any], complete: bool) -> Iterator[str]:
        """All that stands behind the rows."""
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
            listed=LISTED,
        ).partition(_PLACE_OF_ROWS)[2]

    def _keep(self, result: Result) -> None:
        """What the end of the page shows of a row that is there in full, if there is room for it."""
        score = result.p_fake or 0.0
        if result.thumbnail:
            self._thumbnails.add(self._rows, score, result.thumbnail)
        if result.verdict is Verdict.ERROR:
            if len(self._errors) < PLAIN:
                self._errors.append((on_one_line(result.path), result.reason))
        elif result.verdict in NOTABLE:
            self._highest.add(self._rows, score, on_one_line(result.path), result.verdict)

    def _lines(self, result: Result, folder: str, name: str, in_full: bool) -> Iterator[str]:
        """The row, behind its folder if that is another one than before."""
        url, segment = self._links.to(result.path)
        if folder != self._place[0] or (url and url != self._place[1]):
            self._place = (folder, url)
            yield _json(self._place)
        row: list[Any] = [name, VERDICTS.index(result.verdict), result.p_fake]
        plain = segment == quote(name, safe="")
        if in_full or not plain:
            row.append(1 if plain else segment or 0)
        if in_full:
            # Whatever else a row has in JSON comes along: the page shows what it knows of it, and lists the rest.
            fields = as_object(result)
            row.append(_said({key: fields[key] for key in fields if key not in _IN_ARRAY}))
        yield _json(row)

    def _folder_rows(self) -> list[tuple[str, Mapping[Verdict, int]]]:
        """The folders with most findings, those first."""
        table = self._folders.table()
        worst = sorted(table, key=lambda folder: ([-table[folder][verdict] for verdict in NOTABLE], folder))
        return [(folder, table[folder]) for folder in worst[:SHOWN_FOLDERS]]


def _said(value: Any) -> Any:
    """What is known: without fields that say nothing."""
    if isinstance(value, dict):
        return {key: _said(inner) for key, inner in value.items() if inner not in _NOTHING}
    return [_said(inner) for inner in value] if isinstance(value, list | tuple) else value


def _json(value: Any) -> str:
    """JSON that stays JSON within a script element, whatever it holds (HTML, 4.12.1.3)."""
    return _ENCODER.encode(value).replace("<", "\\u003c")
