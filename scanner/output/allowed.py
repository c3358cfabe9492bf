"""Reads `.facescanignore`: hashes of pictures that somebody reviewed and allowed, with reasons.

    # one picture a line: its SHA-256, until when, and why
    4f3a9c...e1  until 2027-06-30  # press photograph, checked by Ann
    77d012...0b  # drawn by our designer

An allowed picture still gets its row, but does not count for the exit code, as if it were in the baseline.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanner.errors import FacescanError
from scanner.options.config import lies_in, project_folders
from scanner.result import Result

FILE_NAME = ".facescanignore"
_LINE = re.compile(r"(?P<sha256>[0-9a-fA-F]{64})(?:\s+until\s+(?P<until>\d{4}-\d{2}-\d{2}))?\s*(?:#.*)?")
# Findings for which `allow_instructions` shows the line to paste, at most.
MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Allowed:
    """Holds the pictures that a file allows.

    Attributes:
        hashes: SHA-256 of the pictures, in lower case, without expired ones.
        file: path of the file; empty if there is none.
        warnings: lines for the user.
    """

    hashes: frozenset[str] = frozenset()
    file: str = ""
    warnings: tuple[str, ...] = ()


def find_allowed(roots: Iterable[str], today: datetime.date | None = None) -> Allowed:
    """Read the `.facescanignore` of the working directory, or of a folder above it up to the project's.

    A file inside a folder that is scanned is not used: whoever uploads a picture could upload that file as well.

    Args:
        roots: files and folders to scan.
        today: date for expiry; by default, the system's.

    Raises:
        FacescanError: the file cannot be read, or has an invalid line.
    """
    scanned = [os.path.realpath(root) for root in roots if os.path.isdir(root)]
    warnings = []
    for folder in project_folders(Path.cwd()):
        file = folder / FILE_NAME
        if not os.path.isfile(file):
            continue
        if any(lies_in(file, root) for root in scanned):
            warnings.append(
                f"{file} is not used: it lies in a folder that is scanned; use --baseline {file} to trust it"
            )
            continue
        hashes, expired = read_allowed(str(file), today)
        return Allowed(hashes, str(file), (*warnings, *expired))
    return Allowed(warnings=tuple(warnings))


def read_allowed(file: str, today: datetime.date | None = None) -> tuple[frozenset[str], list[str]]:
    """Return the hashes in a file, and a warning for each that has expired.

    Raises:
        FacescanError: the file cannot be read, or has an invalid line.
    """
    try:
        text = Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FacescanError(f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    today = today or datetime.date.today()
    hashes, warnings = set(), []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        try:
            until = datetime.date.fromisoformat(found["until"]) if found and found["until"] else datetime.date.max
        except ValueError:
            found = None
        if found is None:
            raise FacescanError(
                f"{file}, line {number}: expected a SHA-256, optionally followed by 'until YYYY-MM-DD' and '# reason'"
            )
        if until < today:
            warnings.append(f"{file}, line {number}: allowed until {until}, which has passed; the picture counts again")
        else:
            hashes.add(found["sha256"].lower())
    return frozenset(hashes), warnings


def is_allowed_file(first_line: str) -> bool:
    """Return whether a file begins as a `.facescanignore` does, with a comment or a hash."""
    return first_line.startswith("#") or _LINE.fullmatch(first_line.strip()) is not None


def allow_instructions(findings: Sequence[Result], count: int, meta: Mapping[str, Any]) -> list[str]:
    """Return lines that tell somebody whose commit was refused why, and how to allow the pictures.

    Args:
        findings: rows of the first findings.
        count: number of all findings.
        meta: of the scan, as in JSON output.
    """
    model, threshold = meta["model"], meta["thresholds"]["fake"]
    shown = findings[:MAX_SHOWN]
    more = [f"# ... and {count - len(shown)} more"] if count > len(shown) else []
    by = f"{model['name']} {model['version']}"
    return [
        f"the model {by} calls a picture fake if its score is at least {threshold:.4f}; it can be wrong",
        f"to allow a picture that you have reviewed, add its line to {FILE_NAME} in this folder, with your reason:",
        *(f"{row.sha256}  # {row.path}" for row in shown if row.sha256),
        *more,
    ]
