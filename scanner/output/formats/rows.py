"""Converts a result to a row: an object of JSON, cells of CSV, or a line for people."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from scanner.printable import on_one_line
from scanner.result import Result, generators, is_marked

# Public contract: these ten columns come first, in this order, for ever. Version 2 of the schema appended the rest.
FIRST_COLUMNS = ("path", "verdict", "p_fake", "n_faces", "width", "height", "format", "bytes", "sha256", "reason")
COLUMNS = (*FIRST_COLUMNS, "marks", "frames", "faces_judged", "decisive_box", "explanation", "baseline")
# Characters at which a spreadsheet begins a formula (OWASP, "CSV Injection"): = + - @; their full-width, small,
# superscript and subscript forms, which some input methods turn into the plain ones; and the mathematical minus.
_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207c\u207a\u208c\u208a\u2212"
# Some spreadsheets ignore spaces, control characters and quotes before a formula. Tabs and line ends begin one.
_FORMULA_FIRST = re.compile(rf"[\t\r\n]|[\s\x00-\x1f\"]*[{_FORMULA}]")
# A formula in the middle begins a cell if the file is split at other separators: in many languages spreadsheets use the
# semicolon, and then quotation marks do not hold a cell together.
_FORMULA_INSIDE = re.compile(rf"([;\t\r\n|][\s\x00-\x1f\"']*)(?=[{_FORMULA}])")
_COLORS = {"fake": "31", "real": "32", "uncertain": "33", "no_face": "2", "error": "35"}


def as_object(result: Result) -> dict[str, Any]:
    """Return a result as JSON has it: the columns of the CSV, faces, provenance, and optional fields such as `ela`."""
    everything = asdict(result)
    row = {column: everything[column] for column in FIRST_COLUMNS}
    row["marks"] = list(result.marks)
    row["frames"] = result.frames
    row["faces_judged"] = result.faces_judged
    row["decisive_box"] = None if result.decisive_box is None else list(result.decisive_box)
    row["faces"] = [_face(face) for face in everything["faces"]]
    if (result.frames or 0) > 1:
        row["frames_judged"] = result.frames_judged
    if result.provenance is not None:
        row["provenance"] = everything["provenance"]
    if result.ela is not None:
        row["ela"] = everything["ela"]
    if result.explanation is not None:
        row["explanation"] = result.explanation
    if result.baseline is not None:
        row["baseline"] = result.baseline
    return row


def _face(face: dict[str, Any]) -> dict[str, Any]:
    """Return a face without fields that few faces need: `turn`, `frame` and `tight` are omitted if they are 0 or
    false.
    """
    return {key: value for key, value in face.items() if key not in ("turn", "frame", "tight") or value}


def as_cells(result: Result, excel: bool = False) -> list[str]:
    """Return a result as CSV cells. With `excel`, an apostrophe stands before what a spreadsheet would execute."""
    cells = []
    for column in COLUMNS:
        text = _as_cell(getattr(result, column))
        cells.append(_guarded(text) if excel else text)
    return cells


def _as_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, tuple):  # names, which may contain blanks; or the four numbers of a box
        return "; ".join(value) if isinstance(next(iter(value), ""), str) else " ".join(map(str, value))
    return str(value)


def _guarded(cell: str) -> str:
    """Return the cell with an apostrophe before everything that a spreadsheet could take for a formula."""
    cell = _FORMULA_INSIDE.sub(r"\1'", cell)
    return f"'{cell}" if _FORMULA_FIRST.match(cell) else cell


def as_line(result: Result, color: bool = False) -> str:
    """Return a result as a line for people: verdict, score, path and reason, on one line whatever the name contains."""
    score = "" if result.p_fake is None else f"{result.p_fake:.4f}"
    verdict = f"{result.verdict:<9}"
    if color:
        verdict = f"\x1b[{_COLORS[result.verdict]}m{verdict}\x1b[0m"
    detail = f"  ({result.reason})" if result.verdict == "error" else ""
    if result.provenance and is_marked(result.provenance):
        by = ", ".join(generators(result.provenance))  # names from facescan's table, not from the file
        detail += f"  (marked as generated: {by})" if by else "  (marked as generated)"
    if result.baseline:
        detail += "  (in the baseline)"
    if result.explanation:
        detail += f"  (why: {on_one_line(result.explanation)})"
    return f"{verdict} {score:>6}  {on_one_line(result.path)}{detail}"
